"""A batch of updates judged on working copies of rows, and cut into groups that must be written together.

Rows that one update changes together are one group; so are rows that share an update with a row of the group.
Updates of one row become one write of it. A group is closed, and a new one begun on what it leaves, when a row would
have to remember more causes than one write may, or when the group would span more rows or bytes than a transaction may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from playerstate.core.check import ROWS_MAX
from playerstate.core.fitting import GROUP_BYTES_MAX, judge_within_size
from playerstate.core.model import Key, Outcome, Update
from playerstate.core.replica import Replica, Write


class Item(msgspec.Struct, frozen=True, gc=False, order=False):
    """An update of the batch: its place on the stream, when it was accepted (ms), and at most how large it is.

    `place` is the record's position and the update's index in it. `keys` names the row of each operation, in their
    order.
    """

    place: tuple[int, int]
    accepted_at: int
    update: Update
    keys: list[Key]
    bytes_max: int


class Idle(NamedTuple):
    """An item that took no step: a repeat, or one that came too late. `epoch` counts its key's erasures by then."""

    item: Item
    outcome: Outcome
    epoch: int


class Group:
    """Rows that must be written together, with the items that they come from and what became of each."""

    __slots__ = ("idle", "items", "outcomes", "replicas", "writes")

    def __init__(self) -> None:
        self.replicas: set[Replica] = set()
        self.items: list[Item] = []
        self.outcomes: list[Outcome] = []
        self.idle: list[Idle] = []
        self.writes: list[Write] = []

    def absorb(self, other: Group) -> None:
        """Take over another group's rows and items."""
        self.replicas |= other.replicas
        self.items += other.items
        self.outcomes += other.outcomes
        self.idle += other.idle


class Batch:
    """Judges items in order. `groups` are closed, in an order in which they can be written."""

    def __init__(self, replicas: Mapping[Key, Replica], written_at: int) -> None:
        self._replicas = replicas
        self._written_at = written_at
        self._open: dict[Replica, Group] = {}
        self.groups: list[Group] = []

    def judge(self, item: Item) -> None:
        """Process one item, whose keys must all be among the replicas."""
        replicas = [self._replicas[key] for key in item.keys]
        first = replicas[0]
        step, epoch = first.next_step, first.epoch
        group = self._group_of(replicas)
        arguments = item.update, item.accepted_at, item.bytes_max, replicas, self._written_at
        while (outcome := judge_within_size(*arguments)) is None:
            self._close(group)
            group = self._group_of(replicas)
        group.items.append(item)
        group.outcomes.append(outcome)
        if first.next_step == step:
            group.idle.append(Idle(item, outcome, epoch))

    def finish(self) -> list[Group]:
        """Close what is open and return all groups, those without writes too."""
        for group in dict.fromkeys(self._open.values()):
            self._write(group)
        self._open = {}
        return self.groups

    def _group_of(self, replicas: Sequence[Replica]) -> Group:
        """The open group that the rows belong to from now on."""
        if len(replicas) == 1:  # most updates are of one row, which needs no merging
            replica = replicas[0]
            group = self._open.get(replica)
            if group is not None and replica.full:
                self._close(group)
                group = None
            if group is None:
                group = self._open[replica] = Group()
                group.replicas.add(replica)
            return group
        touched = list(dict.fromkeys([self._open[replica] for replica in replicas if replica in self._open]))
        spanned = set(replicas).union(*[group.replicas for group in touched])
        if (
            len(spanned) > ROWS_MAX
            or any(replica.full for replica in replicas)
            or sum([replica.bytes_bound for replica in spanned]) > GROUP_BYTES_MAX
        ):
            for group in touched:
                self._close(group)
            touched = []
        group = touched[0] if touched else Group()
        for other in touched[1:]:
            group.absorb(other)
        group.replicas.update(replicas)
        for replica in group.replicas:
            self._open[replica] = group
        return group

    def _close(self, group: Group) -> None:
        for replica in group.replicas:
            del self._open[replica]
        self._write(group)

    def _write(self, group: Group) -> None:
        writes = [replica.write(self._written_at) for replica in group.replicas]
        group.writes = [write for write in writes if write is not None]
        if len(group.writes) > 1:
            group.writes.sort()  # by key, so that what is written does not hang on how a set is ordered
        self.groups.append(group)
