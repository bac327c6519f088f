"""Erasing a key: it is empty, its version goes on, and nothing that was sent before brings anything of it back."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec import UNSET, structs

from core.cluster import NOW_MS, SCHEMA, Cluster, op, update
from core.worlds import REGIONS, Tape, canonical
from playerstate.core.batch import Batch, Item
from playerstate.core.check import Checker
from playerstate.core.erasure import ERASE_REASON_LENGTH_MAX, erase, erasure
from playerstate.core.model import Effect, Key, Op, Outcome, Status, Update
from playerstate.core.producers import ERASER_PREFIX, ERASERS_MAX, RETENTION_MS
from playerstate.core.replica import Replica
from playerstate.core.row import Row, join_rows
from playerstate.core.types import DATA_TYPES
from playerstate.core.wire import row_readers
from playerstate.errors import InvalidUpdate

APPLIED = Outcome(Status.APPLIED)
EXPIRED = Outcome(Status.EXPIRED)
MINUTE_MS = 60_000
SCORE = Key("anna", "score")
READERS = row_readers(SCHEMA)

SOMETHING: dict[str, Op] = {
    "score": op("score", "add", n=5),
    "gold": op("gold", "add", n=5),
    "name": op("name", "set", value="Anna"),
    "titles": op("titles", "set", value="duchess"),
    "best": op("best", "set", value=5),
    "lap": op("lap", "set", value=5),
    "online": op("online", "enable"),
    "friends": op("friends", "add", elements=["bob", "eve"]),
    "settings": op("settings", "set", field="colour", value="red"),
    "bag": op("bag", "add", item="sword", n=2),
}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def new_replica(state_key: str = "score") -> Replica:
    return Replica(Key("anna", state_key), SCHEMA.keys[state_key], 1, "a", {}, None)


def erasing(sequence: int = 1, *, state_key: str = "score", at: int = NOW_MS, **rest: Any) -> Update:
    made = erasure(Key("anna", state_key), "asked for", eraser=f"{ERASER_PREFIX}a", sequence=sequence, now=at)
    return structs.replace(made, **rest)


@pytest.mark.parametrize("state_key", SCHEMA.keys)
def test_an_erased_key_is_empty_and_its_version_goes_on(cluster: Cluster, state_key: str) -> None:
    """Of every type: the state is as if nobody had written it; the erasure is a step, and says why."""
    empty = cluster.value("a", state_key)
    cluster.send("a", update(SOMETHING[state_key]))
    assert cluster.value("a", state_key) != empty
    assert cluster.erase("a", state_key) == APPLIED
    row = cluster.row("a", state_key)
    assert (cluster.value("a", state_key), row.vector, row.epoch) == (empty, {"a": 2}, 1)
    assert row.state == DATA_TYPES[SCHEMA.keys[state_key].type].empty()
    assert [cause.effects for cause in row.because] == [[Effect("erase", field="asked for")]]


def test_what_was_never_written_can_be_erased(cluster: Cluster) -> None:
    """For another region may hold what this one has not seen yet."""
    cluster.send("b", update(SOMETHING["score"]))
    assert cluster.erase("a", "score") == APPLIED
    cluster.settle()
    assert [cluster.value(region, "score") for region in REGIONS] == [0, 0, 0]


def test_a_repeat_of_what_was_sent_before_is_expired(cluster: Cluster) -> None:
    """Promise 2: in the region that erased, in those that follow, and of what was refused; what comes later counts."""
    poor = update(op("score", "add", n=1), if_version="a:9", producer="poor")
    sent = [update(SOMETHING["score"]), update(SOMETHING["score"], sequence=2, sent_at=NOW_MS - 5), poor]
    for one in sent:
        cluster.send("a", one)
    cluster.erase("a", "score")
    assert [cluster.send("a", one) for one in sent] == [EXPIRED] * 3
    cluster.settle()
    assert [cluster.send("b", one) for one in sent] == [EXPIRED] * 3
    later = update(SOMETHING["score"], sequence=3, sent_at=NOW_MS + 1)
    assert cluster.send("b", later, accepted_at=NOW_MS + 1) == APPLIED
    assert cluster.value("b", "score") == 5


def test_a_sender_whose_clock_is_ahead_brings_nothing_back(cluster: Cluster) -> None:
    """What was processed is forgotten with the time that its sender said, not with the erasure's."""
    ahead = update(SOMETHING["score"], sent_at=NOW_MS + 30 * MINUTE_MS)
    cluster.send("a", ahead)
    cluster.erase("a", "score")
    assert cluster.send("a", ahead, accepted_at=NOW_MS + 40 * MINUTE_MS) == EXPIRED
    cluster.settle()
    assert cluster.send("c", ahead, accepted_at=NOW_MS + 40 * MINUTE_MS) == EXPIRED


def test_a_sender_whose_clock_jumped_back_brings_nothing_back(cluster: Cluster) -> None:
    """Sequence 3 is forgotten, 2 comes late, with a later time: that 3 is above what is remembered is no news."""
    forgotten = update(SOMETHING["score"], sequence=3)
    cluster.send("a", forgotten)
    cluster.erase("a", "score")
    late = update(op("score", "add", n=1), sequence=2, sent_at=NOW_MS + 10)
    assert cluster.send("a", late, accepted_at=NOW_MS + 10) == APPLIED
    assert cluster.send("a", forgotten, accepted_at=NOW_MS + 20) == EXPIRED
    assert cluster.value("a", "score") == 1


def test_what_a_region_applied_before_it_heard_of_the_erasure_does_not_come_again(cluster: Cluster) -> None:
    """Its effect goes with the epoch that it belonged to; the same update again is no new one."""
    cluster.erase("a", "score")
    late = update(SOMETHING["score"], sent_at=NOW_MS + MINUTE_MS)
    assert cluster.send("b", late, accepted_at=NOW_MS + MINUTE_MS) == APPLIED
    cluster.settle()
    for region in REGIONS:
        assert cluster.send(region, late, accepted_at=NOW_MS + 2 * MINUTE_MS) == EXPIRED
        assert cluster.value(region, "score") == 0


def test_concurrent_erasures_are_one(cluster: Cluster) -> None:
    """Two regions erase before they hear of each other: both go to the same epoch, and what each did since stays."""
    cluster.send("a", update(SOMETHING["score"]))
    cluster.settle()
    for n, region in ((1, "a"), (2, "b")):
        cluster.erase(region, "score")
        since = update(op("score", "add", n=n), producer=region, sent_at=NOW_MS + 1)
        assert cluster.send(region, since, accepted_at=NOW_MS + 1) == APPLIED
    cluster.settle()
    assert [cluster.value(region, "score") for region in REGIONS] == [3, 3, 3]
    assert cluster.replica("c", SCORE).epoch == 1


def test_a_repeated_erasure_erases_nothing_that_came_after(cluster: Cluster) -> None:
    """A stream delivers again after a crash: the row remembers who erased, whatever else it forgets."""
    for sequence in (1, 2):
        assert cluster.erase("a", "score", sequence=sequence) == APPLIED
    cluster.send("a", update(SOMETHING["score"], sent_at=NOW_MS + 1), accepted_at=NOW_MS + 1)
    for sequence in (1, 2):
        assert cluster.erase("a", "score", sequence=sequence) == Outcome(Status.APPLIED, duplicate=True)
    assert cluster.value("a", "score") == 5


def test_who_erased_is_remembered_longer_than_any_producer(cluster: Cluster) -> None:
    """Checkpoints may be lost, and a backup's stream is as old as the backup: an erasure can come again after days."""
    assert cluster.erase("a", "score") == APPLIED
    later = NOW_MS + RETENTION_MS + 60 * MINUTE_MS
    for producer in ("new", "newer"):
        cluster.send("a", update(SOMETHING["score"], producer=producer, sent_at=later), accepted_at=later)
    assert cluster.erase("a", "score") == Outcome(Status.APPLIED, duplicate=True)
    assert (cluster.value("a", "score"), cluster.row("a", "score").epoch) == (10, 1)


def test_an_erasure_that_another_region_s_has_followed_is_still_known(cluster: Cluster) -> None:
    """An epoch that comes from elsewhere takes the memory along, but for those who erased."""
    cluster.erase("a", "score")
    cluster.erase("b", "score", sequence=1)
    cluster.erase("b", "score", sequence=2)
    cluster.settle()
    cluster.send("a", update(SOMETHING["score"], sent_at=NOW_MS + 1), accepted_at=NOW_MS + 1)
    assert cluster.replica("a", SCORE).epoch == 2
    assert cluster.erase("a", "score") == Outcome(Status.APPLIED, duplicate=True)
    assert cluster.value("a", "score") == 5


def test_a_clock_that_is_behind_does_not_keep_from_erasing(cluster: Cluster) -> None:
    """Another region erased with a clock that is ahead; what was sent since, by such a clock, can be erased."""
    ahead = NOW_MS + 5 * MINUTE_MS
    cluster.erase("b", "score", at=ahead)
    cluster.settle()
    cluster.send("a", update(SOMETHING["score"], sent_at=ahead + 1), accepted_at=ahead + 1)
    assert cluster.erase("a", "score", at=NOW_MS) == APPLIED
    assert cluster.value("a", "score") == 0


def test_erasers_are_bounded(cluster: Cluster) -> None:
    """Of many programs that erased the same key the latest are remembered."""
    for n in range(ERASERS_MAX + 5):
        cluster.erase("a", "score", eraser=f"{ERASER_PREFIX}{n:02}", at=NOW_MS + n)
    (part,) = cluster.row("a", "score").memory.values()
    assert list(part.producers) == [f"{ERASER_PREFIX}{n:02}" for n in range(5, ERASERS_MAX + 5)]


def test_an_update_of_several_rows_of_which_another_one_was_erased_is_expired(cluster: Cluster) -> None:
    """All or nothing: what was sent before one of its rows was erased, and comes after, does nothing to either."""
    cluster.erase("a", "bag")
    gift = update(op("gold", "add", player="bob", n=1), op("bag", "add", item="bow", n=1))
    assert cluster.send("a", update(op("gold", "add", player="bob", n=1), producer="x")) == APPLIED
    first, second = Key("bob", "gold"), Key("anna", "bag")
    replicas = [cluster.replica("a", key) for key in (first, second)]
    outcome = Batch({r.key: r for r in replicas}, NOW_MS)
    outcome.judge(Item((1, 0), NOW_MS + 1, gift, [first, second], 100))
    (group,) = outcome.finish()
    assert group.outcomes == [EXPIRED]
    assert [write.key for write in group.writes] == [first]
    assert replicas[0].state == {"a": 1}
    since = structs.replace(gift, sequence=2, sent_at=NOW_MS + 1)
    assert cluster.send("a", since, accepted_at=NOW_MS + 1) == APPLIED


def test_an_erasure_begins_a_write(cluster: Cluster) -> None:
    """Several updates before it and after it in one batch: what is said of those before is in no row any more."""
    replica = new_replica("friends")
    batch = Batch({replica.key: replica}, NOW_MS)
    updates = [
        update(op("friends", "add", elements=["secret-1"])),
        update(op("friends", "add", elements=["secret-2"]), sequence=2),
        erasing(state_key="friends"),
        update(op("friends", "add", elements=["new-1"]), sequence=3, sent_at=NOW_MS + 1),
        erasing(2, state_key="friends", at=NOW_MS + 1),
        update(op("friends", "add", elements=["new-2"]), sequence=4, sent_at=NOW_MS + 2),
    ]
    for place, one in enumerate(updates):
        batch.judge(Item((1, place), max(NOW_MS, one.sent_at), one, [replica.key], 100))
    groups = batch.finish()
    assert [outcome for group in groups for outcome in group.outcomes] == [APPLIED] * 6
    writes = [write for group in groups for write in group.writes]
    rows = [READERS["friends"].decode(write.new) for write in writes]
    assert [row.epoch for row in rows] == [0, 1, 2]
    assert [[cause.n for cause in row.because] for row in rows] == [[1, 2], [3, 4], [5, 6]]
    assert [write.seen for write in writes] == [None, "a:2", "a:4"]
    assert b"secret" not in writes[1].new
    assert b"new-1" not in writes[2].new
    assert replica.state == {"a": {"new-2": 6}}


def test_restoring_undoes_an_erasure() -> None:
    """A snapshot holds the epoch too."""
    replica = new_replica()
    replica.take_step({"a": 7}, erasing_cause(replica))
    replica.write(NOW_MS)
    before, snapshot = replica.write_joined(NOW_MS), replica.snapshot()
    assert erase(erasing(), NOW_MS, replica) == APPLIED
    replica.restore(snapshot)
    after = replica.write_joined(NOW_MS)
    assert (after.version, after.new) == (before.version, before.new)


def erasing_cause(replica: Replica) -> Any:
    other = new_replica()
    erase(erasing(), NOW_MS, other)
    return structs.replace(other.because[0], n=replica.next_step)


@pytest.mark.parametrize("data_type", sorted(SCHEMA.keys))
def test_clients_do_not_erase(data_type: str) -> None:
    """An update that says so is refused by the ordinary check, as is one that hides it behind another operation."""
    sneaky = [Op("anna", data_type, "erase", value="no reason")]
    for ops in (sneaky, [SOMETHING[data_type], *sneaky]):
        with pytest.raises(InvalidUpdate) as caught:
            Checker(SCHEMA).check(update(*ops))
        assert caught.value.code == "not_an_update"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"producer": "game-1"}, "not_an_update"),
        ({"producer": "@local.1"}, "not_an_update"),
        ({"sequence": 0}, "bad_sequence"),
        ({"ops": [op("score", "erase", value="x"), op("gold", "erase", value="x")]}, "unexpected_argument"),
        ({"ops": [op("score", "erase", value="x", n=1)]}, "unexpected_argument"),
        ({"ops": [op("nonsense", "erase", value="x")]}, "unknown_key"),
        ({"ops": [op("score", "erase", player="{", value="x")]}, "bad_name"),
        ({"ops": [op("score", "erase", value=UNSET)]}, "no_reason"),
        ({"ops": [op("score", "erase", value="  ")]}, "no_reason"),
        ({"ops": [op("score", "erase", value="x\ny")]}, "bad_reason"),
        ({"ops": [op("score", "erase", value="x" * (ERASE_REASON_LENGTH_MAX + 1))]}, "bad_reason"),
    ],
)
def test_an_erasure_that_the_product_has_not_made_is_refused(changes: dict[str, Any], code: str) -> None:
    """By its own check, wherever on the stream it comes from; one that it has made passes."""
    Checker(SCHEMA).check_erasure(erasing())
    with pytest.raises(InvalidUpdate) as caught:
        Checker(SCHEMA).check_erasure(erasing(**changes))
    assert caught.value.code == code


@hypothesis.given(commands=st.integers(1, 24), tape=st.binary(min_size=120, max_size=120).map(Tape))
def test_any_schedule_converges_and_nothing_comes_back(commands: int, tape: Tape) -> None:
    """Promises 2 and 3, with erasures: rows of equal vectors are equal, memory and all, joins do not depend on order,
    the value is what rows of the last epoch added, and no update that was processed is processed again, anywhere.
    """
    cluster, processed, added = Cluster(), list[Update](), dict[tuple[str, int], tuple[int, int]]()
    for number in range(1, commands + 1):
        region, kind, clock = tape.pick(REGIONS), tape.number(6), NOW_MS + number + 1000 * tape.number(3)
        if kind < 2:
            one = update(op("score", "add", n=2**number), producer=f"p{number}", sent_at=clock + 700 * tape.number(2))
            if cluster.send(region, one, accepted_at=clock) == APPLIED:
                row = cluster.row(region, "score")
                processed.append(one)
                added[region, row.vector[region]] = (row.epoch, 2**number)
        elif kind == 2:
            cluster.erase(region, "score", sequence=number, at=clock)
        elif cluster.writes:
            cluster.deliver(region, tape.pick(cluster.writes))
    by_vector: dict[str, Any] = {}
    for write in cluster.writes:
        row = READERS["score"].decode(write.new)
        contents = canonical([row.epoch, row.state, row.memory])
        assert by_vector.setdefault(write.version, contents) == contents
    cluster.settle()
    stored = [READERS["score"].decode(body) for body in cluster.stores["a"].get(SCORE, {}).values()]
    joins = [joined(order) for order in permutations(stored)]
    assert all(join == joins[0] for join in joins)
    last = max([row.epoch for row in stored], default=0)
    total = sum(n for epoch, n in added.values() if epoch == last)
    assert [cluster.value(region, "score") for region in REGIONS] == [total] * 3
    for one in processed:
        for region in REGIONS:
            outcome = cluster.send(region, one, accepted_at=NOW_MS + 10_000)
            assert outcome in (EXPIRED, Outcome(Status.APPLIED, duplicate=True))


def joined(rows: tuple[Row[Any], ...]) -> Any:
    contents = join_rows(rows, DATA_TYPES["counter"])
    return canonical([contents.epoch, contents.vector, contents.state, contents.memory])
