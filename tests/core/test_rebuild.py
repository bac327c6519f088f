"""Promise 9: what a key was is worked out from its transitions alone, and what they lack is said to the step."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from builders import NOW_MS
from core.cluster import SCHEMA, Cluster, op, update
from core.worlds import REGIONS
from playerstate.core.model import ERASE, Cause, Effect, Json, Key, Status, Transition
from playerstate.core.rebuild import How, Rebuild, Rebuilt, Share
from playerstate.core.replica import Write
from playerstate.core.resolution import RESOLVER
from playerstate.core.schema import KeySpec
from playerstate.core.steps import Steps
from playerstate.core.version_vector import covers, parse_vector
from playerstate.core.views import value_json
from playerstate.core.wire import row_readers

GOLD = KeySpec(type="bounded_counter", minimum=-5, initial=20, home="us")
BAG, RANK = KeySpec(type="inventory"), KeySpec(type="register")
READERS = row_readers(SCHEMA)
NULL = msgspec.Raw(b"null")


def cause(n: int, *effects: Effect, status: Status = Status.APPLIED, producer: str = "ps") -> Cause:
    return Cause(n, producer, n, NOW_MS, NOW_MS, list(effects), status)


def told(
    version: str, *causes: Cause, region: str = "us", after: Json = None, epoch: int = 0, at: int = 0
) -> Transition:
    steps = [cause.n for cause in causes] or [0]
    value = msgspec.Raw(msgspec.json.encode(after))
    written_at = NOW_MS + at
    return Transition(
        "ada", "key", region, steps[0], steps[-1], written_at, "", version, NULL, value, list(causes), [], epoch
    )


def rebuilt(spec: KeySpec, *transitions: Transition, not_read: tuple[str, ...] = (), **rest: Any) -> Rebuilt:
    rebuild = Rebuild(spec)
    rebuild.add_all(transitions)
    return rebuild.result(not_read=not_read, **rest)


def add(n: int, item: str | None = None) -> Effect:
    return Effect("add", n, item)


@pytest.mark.parametrize(("spec", "value"), [(GOLD, 20), (BAG, {}), (RANK, None), (KeySpec(type="set"), [])])
def test_nothing_makes_a_key_what_it_starts_with(spec: KeySpec, value: Json) -> None:
    """A bounded counter starts with its initial value, every other type empty."""
    assert (rebuilt(spec).how, rebuilt(spec).value) == (How.UNWRITTEN, value)


def test_numbers_are_the_sum_of_what_every_region_applied() -> None:
    """Whatever was refused, and rights that were given, count nothing."""
    us = told("us:3", cause(1, add(5)), cause(2, Effect("set", -9)), cause(3, add(7), status=Status.REFUSED))
    eu = told("eu:2", cause(1, add(2)), cause(2, Effect("give", deltas={"us": 2}), producer=RESOLVER), region="eu")
    found = rebuilt(GOLD, us, eu)
    assert (found.how, found.value, found.version) == (How.SUMMED, 18, "eu:2,us:3")
    assert found.shares == {"eu": Share(1, {"": 2}), "us": Share(2, {"": -4})}
    assert (found.last, found.missing) == ([eu, us], {})


def test_items_are_summed_each_for_itself() -> None:
    """`replace` names several, and an item that comes to nothing is not there."""
    one = told("us:1", cause(1, add(5, "ore"), add(1, "rope")))
    two = told("us:2", cause(2, Effect("replace", deltas={"ore": -2, "rope": -1, "gem": 10**30})))
    assert rebuilt(BAG, one, two).value == {"gem": str(10**30), "ore": 3}


def test_an_erasure_begins_anew() -> None:
    """Of a key that was erased only the last epoch counts, in every region, and what went before is not missed."""
    old = told("us:1", cause(1, add(5)))
    erasing = told("eu:4,us:1", cause(4, Effect(ERASE, field="asked for")), cause(5, add(3)), region="eu", epoch=1)
    later = told("eu:4,us:4", cause(4, add(1)), epoch=1)
    for transitions in ([old, erasing, later], [later, erasing, old], [erasing, later]):
        found = rebuilt(GOLD, *transitions)
        assert (found.value, found.missing, found.erased) == (24, {}, erasing)


def test_what_is_not_read_is_missed_beyond_what_an_erasure_had_seen() -> None:
    """Of a region that cannot be read nobody knows how far it was erased, but for what the erasure had seen."""
    erasing = told("eu:1,us:3", cause(1, Effect(ERASE, field="asked for")), region="eu", epoch=1)
    later = told("eu:2,us:6", cause(2, add(1)), region="eu", epoch=1)
    assert rebuilt(GOLD, erasing, later, not_read=("us",)).missing == {"us": [(4, 6)]}
    assert rebuilt(GOLD, erasing, later).missing == {}


def test_of_a_region_that_was_not_asked_or_trimmed_no_step_counts_as_erased() -> None:
    """Its first step that is known need not be its first since the erasure: only a log that is whole since then says
    so.
    """
    erasing = told("us:2", cause(2, Effect(ERASE, field="asked for")), epoch=1, at=1)
    joined = told("eu:1,us:3", cause(3, add(1)), epoch=1, at=3, after=28)
    here = rebuilt(GOLD, erasing, joined, complete_since={"us": 0})
    assert (here.how, here.value, here.missing) == (How.LAST, 28, {"eu": [(1, 1)]})
    eu = told("eu:3,us:3", cause(3, add(1)), region="eu", epoch=1, at=4, after=30)
    trimmed = rebuilt(GOLD, erasing, joined, eu, complete_since={"us": NOW_MS + 9, "eu": NOW_MS + 3})
    assert (trimmed.how, trimmed.value, trimmed.missing) == (How.LAST, 30, {"eu": [(1, 2)]})
    whole = rebuilt(GOLD, erasing, joined, eu, complete_since={"us": 0, "eu": NOW_MS + 1})
    assert (whole.how, whole.missing) == (How.SUMMED, {})


def test_missing_steps_are_named_and_the_last_write_is_believed() -> None:
    """A sum that lacks something is not given. The last write knew everything that its version counts."""
    parts = [told("us:2", cause(2, add(5))), told("us:5", cause(5, add(5)), after=99)]
    found = rebuilt(GOLD, *parts)
    assert (found.how, found.value, found.missing) == (How.LAST, 99, {"us": [(1, 1), (3, 4)]})
    assert found.shares == {}


def test_regions_that_had_not_heard_of_each_other_differed() -> None:
    """Each has its own value; once one has heard of the other, it has the last word."""
    us = told("us:1", cause(1, Effect("set")), after="gold", at=1)
    eu = told("eu:1", cause(1, Effect("set")), region="eu", after="silver", at=2)
    found = rebuilt(RANK, us, eu)
    assert (found.how, found.value, found.last) == (How.DIFFERED, None, [eu, us])
    alike = told("eu:1", cause(1, Effect("set")), region="eu", after="gold", at=2)
    assert (rebuilt(RANK, us, alike).how, rebuilt(RANK, us, alike).value) == (How.LAST, "gold")
    joined = told("eu:1,us:1", region="eu", after="silver", at=3)
    assert rebuilt(RANK, joined, us, eu) == Rebuilt(How.LAST, "silver", "eu:1,us:1", [joined])


def _told_of(write: Write, before: str) -> Transition:
    row = READERS[write.key.state_key].decode(write.new)
    steps = [cause.n for cause in row.because]
    value = msgspec.Raw(value_json(row.state, SCHEMA.keys[write.key.state_key]))
    key, at = write.key, row.written_at
    return Transition(
        *key, write.region, steps[0], steps[-1], at, before, write.version, NULL, value, row.because, [], row.epoch
    )


def _operation(random: Random) -> Any:
    n, item = random.randint(0, 5), random.choice(["ore", "rope"])
    return random.choice(
        [
            op("score", "add", n=random.choice([n, -n, 10**30])),
            op("gold", random.choice(["add", "subtract", "set"]), n=n),
            op("bag", random.choice(["add", "subtract", "set"]), item=item, n=n),
            op("bag", "replace", items={item: n}),
            op("name", "set", value=str(n)),
            op("friends", random.choice(["add", "remove"]), elements=[str(n)]),
        ]
    )


@pytest.mark.parametrize("erases", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_what_a_region_shows_at_any_time_is_rebuilt_from_what_was_written_until_then(seed: int, erases: bool) -> None:
    """Promise 9, of numbers in three regions that hear of one another in any order: of the transitions that a view's
    version covers, shuffled and doubled. Where one write covers all others, the same of every type.
    """
    random, cluster, looked = Random(seed), Cluster(), 0
    for sequence in range(1, 120):
        region = random.choice(REGIONS)
        if erases and random.random() < 0.03:
            cluster.erase(region, random.choice(["score", "gold", "bag"]), sequence=sequence, at=NOW_MS + sequence)
        else:
            ops = [_operation(random) for _ in range(random.randint(1, 2))]
            sent = update(*ops, sequence=sequence, sent_at=NOW_MS + sequence)
            cluster.send(region, sent, accepted_at=NOW_MS + sequence)
        for write in random.sample(cluster.writes, min(3, len(cluster.writes))):
            cluster.deliver(random.choice(REGIONS), write)
        transitions = [_told_of(write, "") for write in cluster.writes]
        for name in ("score", "gold", "bag", "name", "friends"):
            version, value = cluster.view(region, Key("anna", name))
            vector = parse_vector(version)
            known = [t for t in transitions if t.state_key == name and vector.get(t.region, 0) >= t.last]
            epoch = max([t.epoch for t in known], default=0)
            kept = [t for t in known if t.epoch == epoch]  # an audit lets go of what was erased
            found = rebuilt(SCHEMA.keys[name], *random.sample(kept, len(kept)), *kept[:5])
            assert found.missing == {}
            if found.how is not How.DIFFERED:
                assert (found.value, covers(vector, parse_vector(found.version))) == (value, True)
                looked += 1
    assert looked > 200


def test_steps_are_kept_in_ranges_whatever_the_order() -> None:
    """A step is new once, and what is missing is what nobody added."""
    random = Random(1)
    for _ in range(50):
        added = [random.randint(1, 30) for _ in range(25)]
        steps = Steps()
        assert [steps.add("us", n) for n in added] == [n not in added[:place] for place, n in enumerate(added)]
        missing = steps.missing({"us": 30, "eu": 2}, {"us": 3})
        lacking = [n for low, high in missing.pop("us", []) for n in range(low, high + 1)]
        assert lacking == [n for n in range(4, 31) if n not in added]
        assert missing == {"eu": [(1, 2)]}
        assert steps.first("us") == min(added)
