"""A walk through all players of a cluster, slot by slot, wherever each lies at the moment.

The cursor is the next slot, so a fail-over or a slot that moves in the middle of a walk changes nothing about what is
still to come. A slot on its way lies on two nodes. Its owner is asked for the names, and then which slots are its own
and stay so; for all others every primary is asked as well, later: what the owner had given away by then is there.
So a name that is there all the time is met, unless its slot moves twice while one page is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from playerstate.backends.valkey.connections import pack
from playerstate.backends.valkey.slots import SLOTS, Address, parse_nodes
from playerstate.backends.valkey.translated import unavailable
from playerstate.backends.valkey.trial import Failure, not_served

if TYPE_CHECKING:
    from playerstate.backends.valkey.cluster import ClusterConnections

SLOTS_AT_ONCE = 1024
NAMES_OF_SLOT_MAX = 1_000_000
"""A slot is read whole, as the command has no cursor. Where there are ten million players it has some 600."""

_CLUSTER_NODES: bytes = pack(("CLUSTER", "NODES"))


def scan(cluster: ClusterConnections, cursor: str, count: int) -> tuple[list[bytes], str]:
    """Names of players' hashes, about `count`, and the cursor to go on with; "" begins and ends."""
    slot, width = int(cursor or 0), 1
    names: list[bytes] = []
    while slot < SLOTS and len(names) < count:
        slots = range(slot, min(slot + width, SLOTS))
        names += [name for name in _names_in(cluster, slots) if name.startswith(b"player:{") and name.endswith(b"}")]
        slot = slots.stop
        width = min(2 * width, SLOTS_AT_ONCE)  # nobody knows how many names a slot has
    return names, "" if slot == SLOTS else str(slot)


def _names_in(cluster: ClusterConnections, slots: Iterable[int]) -> list[bytes]:
    """All names in some slots; twice, perhaps, what is on its way."""
    of_owners, replies = _asked(cluster, slots)
    names: list[bytes] = []
    unsettled: list[int] = []
    primaries: list[Address] = []
    for owner, own in of_owners.items():
        *found, nodes = replies[owner]
        said = parse_nodes(nodes, owner)
        names += [name for some in found for name in some]
        unsettled += [slot for slot in own if slot not in said.settled]
        primaries += said.primaries
    if unsettled:
        asked = [_names_of(slot) for slot in unsettled]
        again = cluster.exchange(dict.fromkeys(primaries, asked))
        for reply in [reply for some in again.values() for reply in some]:
            if isinstance(reply, Exception):
                raise unavailable(reply) from reply
            names += reply
    return names


def _asked(
    cluster: ClusterConnections, slots: Iterable[int]
) -> tuple[dict[Address, list[int]], Mapping[Address, list[Any]]]:
    """Slots by owner, and what each has said: the names in each of them, and lastly how it sees the cluster."""
    trial = cluster.trial()
    while True:
        seen = cluster.known()
        failures: dict[int, Failure] = {}
        of_owners: dict[Address, list[int]] = {}
        for slot in slots:
            owner = seen.owners[slot]
            if owner is None:
                failures[slot] = Failure(None, not_served())
            else:
                of_owners.setdefault(owner, []).append(slot)
        replies = cluster.exchange({owner: [*map(_names_of, own), _CLUSTER_NODES] for owner, own in of_owners.items()})
        for owner, own in of_owners.items():
            errors = [reply for reply in replies[owner] if isinstance(reply, Exception)]
            if errors:
                failures[own[0]] = Failure(owner, errors[0])
        if not failures:
            return of_owners, replies
        cluster.recover(trial, seen, failures)


def _names_of(slot: int) -> bytes:
    packed: bytes = pack(("CLUSTER", "GETKEYSINSLOT", slot, NAMES_OF_SLOT_MAX))
    return packed
