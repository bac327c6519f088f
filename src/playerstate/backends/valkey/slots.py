"""Which primary of a cluster serves which slot.

A key's slot is CRC16 of what is in its braces, modulo 16384 (the cluster specification of Redis and Valkey).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

SLOTS = REDIS_CLUSTER_HASH_SLOTS

_UNKNOWN_HOSTNAME = b"?"


class Address(NamedTuple):
    """Where a node listens."""

    host: str
    port: int


class SlotMap(NamedTuple):
    """A cluster as one of its nodes saw it. `owners` has a place a slot, None where nobody serves it.

    `nodes` are all that were named, replicas too, primaries first.
    """

    owners: Sequence[Address | None]
    nodes: Sequence[Address]

    def moved(self, slots: Mapping[int, Address]) -> SlotMap:
        """The same with some slots elsewhere."""
        owners = list(self.owners)
        for slot, address in slots.items():
            owners[slot] = address
        return SlotMap(owners, list(dict.fromkeys([*self.nodes, *slots.values()])))


NOTHING_KNOWN = SlotMap([None] * SLOTS, [])


def slot_of(name: str | bytes) -> int:
    """The slot of a key or a shard channel."""
    return key_slot(name.encode() if isinstance(name, str) else name)


def parse_slots(reply: Sequence[Sequence[Any]], asked: Address) -> SlotMap:
    """The reply to CLUSTER SLOTS, which gives each range its primary and then its replicas.

    A node without a host is to be reached as the one that was `asked`.
    """
    owners: list[Address | None] = [None] * SLOTS
    primaries: list[Address] = []
    replicas: list[Address] = []
    for first, last, primary, *others in reply:
        owner = _address(primary, asked)
        owners[first : last + 1] = [owner] * (last + 1 - first)
        primaries += [owner] if owner else []
        replicas += [address for address in (_address(other, asked) for other in others) if address]
    return SlotMap(owners, list(dict.fromkeys(primaries + replicas)))


def _address(node: Sequence[Any], asked: Address) -> Address | None:
    host, port = node[0], node[1]
    if host == _UNKNOWN_HOSTNAME:
        return None
    return Address(host.decode() if host else asked.host, int(port))


class Nodes(NamedTuple):
    """A node's own word on itself and the others, from CLUSTER NODES.

    `settled` are the slots that are its own, and that it is neither giving away nor taking over.
    """

    settled: frozenset[int]
    primaries: Sequence[Address]


def parse_nodes(reply: bytes, asked: Address) -> Nodes:
    """The reply to CLUSTER NODES: a line a node, `id host:port@bus,hostname flags ... slots`."""
    settled: set[int] = set()
    primaries: list[Address] = []
    for line in reply.decode("utf-8", "replace").splitlines():
        (
            _,
            where,
            flags,
            *_,
        ) = fields = line.split()
        kinds = flags.split(",")
        if "master" in kinds and "noaddr" not in kinds and "fail" not in kinds:
            primaries.append(asked if "myself" in kinds else _address_of(where, asked))
        if "myself" in kinds:
            settled = _settled(fields[8:])
    return Nodes(frozenset(settled), primaries)


def _address_of(where: str, asked: Address) -> Address:
    """Hostnames go before addresses: certificates are made out to them."""
    endpoint, *names = where.split(",")
    host, _, port = endpoint.partition("@")[0].rpartition(":")
    hostname = names[0] if names and "=" not in names[0] else ""
    return Address(hostname or host or asked.host, int(port))


def _settled(parts: Sequence[str]) -> set[int]:
    """From ranges such as `0-5460`, slots, and `[93->-id]` or `[77-<-id]`, which are on their way."""
    own: set[int] = set()
    for part in parts:
        if not part.startswith("["):
            first, _, last = part.partition("-")
            own.update(range(int(first), int(last or first) + 1))
    return own - {int(part[1:].partition("-")[0]) for part in parts if part.startswith("[")}
