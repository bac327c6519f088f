"""Traffic of trials keeps to what makes the reckoning simple."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

from playerstate.core.check import Checker
from playerstate.core.model import Key
from playerstate.core.producers import REMEMBERED_REFUSALS_MAX
from playerstate.trials.traffic import SCHEMA, GameServer

PLAYERS = ["ada", "bob", "cy"]


def test_every_owned_thing_has_one_owner_and_sequences_rise() -> None:
    """No two servers change one element or one name; each numbers its updates of a key 1, 2, 3; all of it is valid;
    and no more may be refused than a row remembers."""
    checker = Checker(SCHEMA)
    owners: defaultdict[tuple[Key, str], set[str]] = defaultdict(set)
    kinds = set()
    for place in range(4):
        server = GameServer(f"server-{place}", PLAYERS, PLAYERS[place : place + 1], Random(place))
        sequences: Counter[Key] = Counter()
        risked: Counter[Key] = Counter()
        for update in [update for _ in range(400) for update in server.call()]:
            checker.check(update)
            first = update.first_key
            sequences[first] += 1
            assert update.sequence == sequences[first]
            risked[first] += any(op.op == "subtract" for op in update.ops)
            kinds.add(tuple((op.state_key, op.op) for op in update.ops))
            for op in update.ops:
                if isinstance(op.elements, list):
                    for element in op.elements:
                        owners[op.key, element].add(update.producer)
                if op.state_key == "name":
                    owners[op.key, ""].add(update.producer)
        assert max(risked.values()) < REMEMBERED_REFUSALS_MAX
    assert all(len(of) == 1 for of in owners.values())
    assert {len(kind) for kind in kinds} == {1, 2, 4}  # a gift and a purchase have two operations, a trade has four
    assert {name for kind in kinds for name, _ in kind} == set(SCHEMA.keys)
