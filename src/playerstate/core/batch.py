"""A batch of updates judged on working copies of rows, and cut into groups that must be written together.

Rows that one update changes together are one group; so are rows that share an update with a row of the group.
Updates of one row become one write of it. A group is closed, and a new one begun on what it leaves, when a row would
have to remember more causes than one write may, or when the group would span more rows than one transaction may.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from playerstate.core.check import ROWS_MAX
from playerstate.core.judgement import judge, refuse
from playerstate.core.model import Key, Outcome, Reason, Status, Update
from playerstate.core.replica import Replica, Write

ROW_BYTES_MAX = 393_216
"""A row's largest size: under DynamoDB's 400 KB an item, with its keys."""


class Item(msgspec.Struct, frozen=True, gc=False, order=False):
    """An update of the batch: its place on the stream, when it was accepted (ms), and at most how large it is.

    `keys` names the row of each operation, in their order.
    """

    place: str
    accepted_at: int
    update: Update
    keys: list[Key]
    bytes_max: int


class Group:
    """Rows that must be written together, with the items that they come from and what became of each."""

    __slots__ = ("items", "keys", "outcomes", "writes")

    def __init__(self) -> None:
        self.keys: set[Key] = set()
        self.items: list[Item] = []
        self.outcomes: list[Outcome] = []
        self.writes: list[Write] = []

    def absorb(self, other: Group) -> None:
        """Take over another group's keys and items."""
        self.keys |= other.keys
        self.items += other.items
        self.outcomes += other.outcomes


class Batch:
    """Judges items in order. `groups` are closed, in an order in which they can be written."""

    def __init__(self, replicas: Mapping[Key, Replica], written_at: int) -> None:
        self._replicas = replicas
        self._written_at = written_at
        self._open: dict[Key, Group] = {}
        self.groups: list[Group] = []

    def judge(self, item: Item) -> None:
        """Process one item, whose keys must all be among the replicas."""
        group = self._group_for(item.keys)
        replicas = [self._replicas[key] for key in item.keys]
        outcome = self._judge_within_size(item, replicas)
        if outcome is None and any(replica.because for replica in replicas):
            # what the write remembers of the updates before may be what is too large: begin another write
            self._close(group)
            group = self._group_for(item.keys)
            outcome = self._judge_within_size(item, replicas)
        if outcome is None:
            outcome = refuse(item.update, item.accepted_at, replicas[0], Reason.ROW_TOO_LARGE)
        group.items.append(item)
        group.outcomes.append(outcome)

    def finish(self) -> list[Group]:
        """Close what is open and return all groups, those without writes too."""
        for group in list(dict.fromkeys(self._open.values())):
            self._close(group)
        return self.groups

    def _group_for(self, keys: list[Key]) -> Group:
        """The open group that the keys belong to from now on."""
        if len(keys) == 1:  # most updates are of one row, which needs no merging
            (key,) = keys
            group = self._open.get(key)
            if group is not None and self._replicas[key].full:
                self._close(group)
                group = None
            if group is None:
                group = self._open[key] = Group()
                group.keys.add(key)
            return group
        touched = list(dict.fromkeys([self._open[key] for key in keys if key in self._open]))
        spanned = set(keys).union(*(group.keys for group in touched))
        if len(spanned) > ROWS_MAX or any(self._replicas[key].full for key in keys):
            for group in touched:
                self._close(group)
            touched = []
        group = touched[0] if touched else Group()
        for other in touched[1:]:
            group.absorb(other)
        group.keys.update(keys)
        for key in group.keys:
            self._open[key] = group
        return group

    def _close(self, group: Group) -> None:
        for key in sorted(group.keys):
            del self._open[key]
            write = self._replicas[key].write(self._written_at)
            if write is not None:
                group.writes.append(write)
        self.groups.append(group)

    def _judge_within_size(self, item: Item, replicas: list[Replica]) -> Outcome | None:
        """Judge; where a row may have grown too large, measure, and undo if it has: the answer is None then."""
        update, accepted_at = item.update, item.accepted_at
        more, rewrites = _growth(item)
        near = [replica for replica in replicas if replica.bytes_at_most(more, rewrites=rewrites) > ROW_BYTES_MAX]
        if not near:
            return judge(update, accepted_at, replicas)
        before = [replica.snapshot() for replica in replicas]
        outcome = judge(update, accepted_at, replicas)
        too_large = [replica for replica in near if replica.measure(self._written_at) > ROW_BYTES_MAX]
        if outcome.status is not Status.APPLIED or not too_large:
            return outcome
        for replica, snapshot in zip(replicas, before, strict=True):
            replica.restore(snapshot)
        return None


def _growth(item: Item) -> tuple[int, bool]:
    """How much an item adds to a row at most, and whether it may name everything that is there.

    What an operation carries stands in the state and again in the causes; a short element or item takes several times
    its own size in the state, with the step that wrote it.
    """
    factor, rewrites = 2, False
    for op in item.update.ops:
        if op.elements is not UNSET or op.items is not UNSET:
            factor = 8
        rewrites |= op.op == "replace"
    return item.bytes_max * factor, rewrites
