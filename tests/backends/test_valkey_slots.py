"""What nodes say of their cluster, as it is read: in the forms that Redis, Valkey and managed services give it."""

from __future__ import annotations

import pytest

from playerstate.backends.valkey.slots import SLOTS, Address, parse_nodes, parse_slots, slot_of

ASKED = Address("asked.example", 6379)


def test_the_braces_choose_the_slot() -> None:
    """As the specification of clusters has it: 12739 is its own example."""
    assert slot_of("123456789") == slot_of("player:{123456789}") == 12739
    assert slot_of("player:{é🗡️}".encode()) == slot_of("player:{é🗡️}")
    assert slot_of("player:{}") != slot_of("")


def test_slots_with_and_without_hosts() -> None:
    """Whoever is not told a host asks the one that answered; a name that is not known is nobody's."""
    reply = [
        [0, 99, [b"a.example", 1, b"id-a", [b"ip", b"10.0.0.1"]], [b"b.example", 2, b"id-b"]],
        [100, 199, [None, 3, b"id-c", []]],
        [200, 299, [b"", 4, b"id-d"]],
        [300, 399, [b"?", 5, b"id-e"], [b"b.example", 2, b"id-b"]],
        [SLOTS - 1, SLOTS - 1, [b"::1", 6, b"id-f"]],
    ]
    found = parse_slots(reply, ASKED)
    a, b, c, d = Address("a.example", 1), Address("b.example", 2), ASKED._replace(port=3), ASKED._replace(port=4)
    last = Address("::1", 6)
    assert [found.owners[slot] for slot in (0, 99, 100, 200, 299, 300, 400, SLOTS - 1)] == [
        a, a, c, d, d, None, None, last,
    ]  # fmt: skip
    assert found.nodes == [a, c, d, last, b]
    assert found.moved({7: b}).owners[6:9] == [a, b, a]


@pytest.mark.parametrize(
    ("where", "address"),
    [
        ("10.0.0.1:7000@17000", Address("10.0.0.1", 7000)),
        ("10.0.0.1:7000@17000,node.example", Address("node.example", 7000)),
        ("10.0.0.1:7000@17000,,tls-port=0,shard-id=5", Address("10.0.0.1", 7000)),
        ("10.0.0.1:7000@17000,shard-id=5", Address("10.0.0.1", 7000)),
        ("::1:7000@17000", Address("::1", 7000)),
        (":7000@17000", Address("asked.example", 7000)),
    ],
)
def test_where_primaries_are(where: str, address: Address) -> None:
    """By name where they have one, for that is what certificates are made out to."""
    lines = [
        "aa 10.0.0.9:7009@17009 myself,master - 0 0 1 connected 0-9 11 [5->-bb] [77-<-bb]",
        f"bb {where} master - 0 1 2 connected 12-20",
        "cc 10.0.0.3:7003@17003 slave bb 0 1 2 connected",
        "dd 10.0.0.4:7004@17004 master,fail - 0 1 3 disconnected 30-40",
        "ee :0@0 master,noaddr - 0 1 4 disconnected",
    ]
    nodes = parse_nodes("\n".join(lines).encode(), ASKED)
    assert nodes.settled == {0, 1, 2, 3, 4, 6, 7, 8, 9, 11}
    assert nodes.primaries == [ASKED, address]


def test_a_replica_has_no_slots() -> None:
    """What it says of its primary's is not its own word."""
    lines = [
        "aa 10.0.0.1:7001@17001 myself,slave bb 0 0 1 connected",
        "bb 10.0.0.2:7002@17002 master - 0 1 2 connected 0-16383",
    ]
    nodes = parse_nodes("\n".join(lines).encode(), ASKED)
    assert nodes.settled == set()
    assert nodes.primaries == [Address("10.0.0.2", 7002)]
