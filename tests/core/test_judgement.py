"""What becomes of an update: once, all or nothing, with an outcome that stays."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from core.cluster import NOW_MS, Cluster, any_op, op, update
from core.worlds import REGIONS, Tape
from playerstate.core.judgement import judge
from playerstate.core.model import Effect, Key, Op, Outcome, Reason, Status, Update
from playerstate.core.producers import PRODUCERS_MAX, RETENTION_MS
from playerstate.core.types import escrow

APPLIED = Outcome(Status.APPLIED)
SUPERSEDED = Outcome(Status.SUPERSEDED)
CONFLICT = Outcome(Status.CONFLICT)
EXPIRED = Outcome(Status.EXPIRED)

given_traffic = hypothesis.given(commands=st.integers(1, 24), tape=st.binary(min_size=200, max_size=200).map(Tape))


def refused(reason: Reason) -> Outcome:
    return Outcome(Status.REFUSED, reason)


def again(outcome: Outcome) -> Outcome:
    return Outcome(outcome.status, outcome.reason, duplicate=True)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.mark.parametrize(
    ("repeated", "outcome"),
    [
        (update(op("gold", "add", n=5)), APPLIED),
        (update(op("gold", "subtract", n=5)), refused(Reason.INSUFFICIENT)),
        (update(op("gold", "add", n=5), if_version="a:7"), CONFLICT),
        (update(op("gold", "add", n=5), seen="a:7"), refused(Reason.NOT_HERE_YET)),
    ],
    ids=["applied", "refused", "conflict", "not here yet"],
)
def test_a_repeat_hears_the_first_outcome_and_takes_no_step(
    cluster: Cluster, repeated: Update, outcome: Outcome
) -> None:
    """Promise 2, also when by now it would come out otherwise, and in another region once the row is there."""
    assert cluster.send("a", repeated) == outcome
    assert cluster.send("a", update(op("gold", "add", n=100), producer="other")) == APPLIED
    view = cluster.view("a", Key("anna", "gold"))
    assert cluster.send("a", repeated) == again(outcome)
    assert cluster.view("a", Key("anna", "gold")) == view
    cluster.settle()
    assert cluster.send("b", repeated) == again(outcome)


def test_a_late_update_takes_effect_only_where_order_does_not_matter(cluster: Cluster) -> None:
    """Sequence 2 comes after 3: a sum takes it, a register does not; both remember what came of it."""
    for n in (1, 3):
        assert cluster.send("a", update(op("score", "add", n=n), sequence=n)) == APPLIED
        assert cluster.send("a", update(op("name", "set", value=f"name {n}"), sequence=n)) == APPLIED
    late_sum, late_name = update(op("score", "add", n=2), sequence=2), update(op("name", "set", value="2"), sequence=2)
    assert cluster.send("a", late_sum) == APPLIED
    assert cluster.send("a", late_name) == SUPERSEDED
    assert (cluster.value("a", "score"), cluster.value("a", "name")) == (6, "name 3")
    assert cluster.send("a", late_sum) == again(APPLIED)
    assert cluster.send("a", late_name) == again(SUPERSEDED)


def test_a_late_update_is_superseded_whole(cluster: Cluster) -> None:
    """One operation that depends on order is enough, wherever it stands."""
    for n in (1, 3):
        cluster.send("a", update(op("score", "add", n=1), sequence=n))
    both = update(op("score", "add", n=10), op("name", "set", value="x"), sequence=2)
    assert cluster.send("a", both) == SUPERSEDED
    assert (cluster.value("a", "score"), cluster.value("a", "name")) == (2, None)


def test_if_version_is_compared_with_the_first_key(cluster: Cluster) -> None:
    """It names exactly what must be there, in whatever order the regions are written."""
    cluster.send("a", update(op("score", "add", n=1)))
    cluster.send("b", update(op("score", "add", n=1), producer="other"))
    cluster.settle()
    ops = op("score", "add", n=1), op("name", "set", value="x")
    assert cluster.send("a", update(*ops, sequence=2, if_version="a:1")) == CONFLICT
    assert cluster.send("a", update(*ops, sequence=3, if_version="")) == CONFLICT
    version = ",".join(reversed(cluster.view("a", Key("anna", "score"))[0].split(",")))
    assert cluster.send("a", update(*ops, sequence=4, if_version=version)) == APPLIED
    assert cluster.send("a", update(op("gold", "add", n=1), if_version="")) == APPLIED


def test_seen_limits_what_a_removal_removes(cluster: Cluster) -> None:
    """A writer that had not read the second adding does not remove it; the version it had read must be here."""
    cluster.send("a", update(op("friends", "add", elements=["bert"])))
    read = cluster.view("a", Key("anna", "friends"))[0]
    cluster.send("a", update(op("friends", "add", elements=["bert", "cleo"]), sequence=2))
    gone = op("friends", "remove", elements=["bert", "cleo"])
    assert cluster.send("b", update(gone, producer="b", seen=read)) == refused(Reason.NOT_HERE_YET)
    assert cluster.send("a", update(gone, sequence=3, seen=read)) == APPLIED
    assert cluster.value("a", "friends") == ["bert", "cleo"]
    assert cluster.send("a", update(gone, sequence=4)) == APPLIED
    assert cluster.value("a", "friends") == []


def test_seen_speaks_of_the_first_key_alone(cluster: Cluster) -> None:
    """What a writer had read of one key says nothing of another, where it removes all that is there."""
    cluster.send("a", update(op("score", "add", n=1)))
    read = cluster.view("a", Key("anna", "score"))[0]
    for sequence in (1, 2):
        cluster.send("a", update(op("friends", "add", elements=["bert"]), sequence=sequence))
    both = op("score", "add", n=1), op("friends", "remove", elements=["bert"])
    assert cluster.send("a", update(*both, sequence=2, seen=read)) == APPLIED
    assert cluster.value("a", "friends") == []


def test_an_update_older_than_the_retention_expires(cluster: Cluster) -> None:
    """Whoever sent it; the limit itself is still taken."""
    oldest = NOW_MS - RETENTION_MS
    assert cluster.send("a", update(op("score", "add", n=1), sent_at=oldest - 1)) == EXPIRED
    assert cluster.send("a", update(op("score", "add", n=1), sent_at=oldest)) == APPLIED
    assert cluster.value("a", "score") == 1


def test_a_stamp_is_clipped_to_accept_s_clock(cluster: Cluster) -> None:
    """A sender whose clock is an hour ahead does not win over those who write after it."""
    cluster.send("a", update(op("name", "set", value="ahead"), sent_at=NOW_MS + 3_600_000))
    cluster.send("b", update(op("name", "set", value="later"), sent_at=NOW_MS + 1), accepted_at=NOW_MS + 1)
    cluster.settle()
    assert cluster.value("c", "name") == "later"


def test_all_operations_or_none(cluster: Cluster) -> None:
    """Promise 5: the third operation is refused, and nothing of the two before it stays."""
    cluster.send("a", update(op("gold", "add", n=10)))
    trade = [op("gold", "subtract", n=4), op("bag", "add", item="sword", n=1), op("gold", "subtract", "bert", n=1)]
    assert cluster.send("a", update(*trade, sequence=2)) == refused(Reason.INSUFFICIENT)
    assert cluster.value("a", "gold") == 10
    assert cluster.value("a", "bag") == {}
    assert Key("anna", "bag") not in cluster.stores["a"]
    assert cluster.send("a", update(*trade[:2], sequence=3)) == APPLIED
    assert (cluster.value("a", "gold"), cluster.value("a", "bag")) == (6, {"sword": 1})


def test_later_operations_of_an_update_see_the_earlier_ones(cluster: Cluster) -> None:
    """What it adds it may spend, and a set counts from there."""
    ops = [op("gold", "add", n=5), op("gold", "subtract", n=3), op("gold", "set", n=7)]
    assert cluster.send("a", update(*ops)) == APPLIED
    assert cluster.value("a", "gold") == 7
    cause = cluster.row("a", "gold").because[0]
    assert cause.effects == [Effect("add", delta=5), Effect("subtract", delta=-3), Effect("set", delta=5)]


def test_every_changed_row_says_why(cluster: Cluster) -> None:
    """The first row remembers the update; the others name its first key; each has its own step."""
    cluster.send("a", update(op("score", "add", n=1)))
    ops = op("score", "add", n=2), op("name", "set", value="x")
    cluster.send("a", update(*ops, sequence=2, sent_at=NOW_MS - 5))
    first, other = cluster.row("a", "score"), cluster.row("a", "name")
    assert [(c.n, c.producer, c.sequence, c.sent_at, c.accepted_at, c.of) for c in first.because] == [
        (2, "game-1", 2, NOW_MS - 5, NOW_MS, None)
    ]
    assert [(c.n, c.of, c.effects) for c in other.because] == [(1, ("anna", "score"), [Effect("set")])]
    assert set(first.memory["a"].producers) == {"game-1"}
    assert other.memory == {}


def test_any_of_an_updates_keys_may_have_to_stand_as_it_was_read(cluster: Cluster) -> None:
    """`if_versions` speaks of every key that it names; if one has moved on, nothing takes effect."""
    ops = op("score", "add", n=1), op("name", "set", value="x", player="bert")
    as_read = [("bert", "name", ""), ("anna", "score", "")]
    assert cluster.send("a", update(*ops, if_versions=as_read)) == APPLIED
    as_read = [("anna", "score", "a:1"), ("bert", "name", "")]
    assert cluster.send("a", update(*ops, sequence=2, if_versions=as_read)).status is Status.CONFLICT
    assert (cluster.value("a", "score"), cluster.view("a", Key("bert", "name"))) == (1, ("a:1", "x"))
    as_read = [("bert", "name", "a:1")]
    assert cluster.send("a", update(*ops, sequence=3, if_versions=as_read)) == APPLIED


def test_a_first_row_names_the_others_and_every_row_has_the_note(cluster: Cluster) -> None:
    """Of an update that took effect, so that from any of its rows all are found; of one that did not there are none.

    Promise 9.
    """
    cluster.send("a", update(op("gold", "add", n=9)))
    ops = op("gold", "subtract", n=4), op("gold", "subtract", n=1), op("gold", "add", n=5, player="bert")
    cluster.send("a", update(*ops, sequence=2, note="a loan"))
    assert cluster.row("a", "gold").because[0].others == [("bert", "gold")]
    other = cluster.row("a", "gold", "bert").because[0]
    assert (other.of, other.others) == (("anna", "gold"), None)
    assert {cluster.row("a", "gold", player).because[0].note for player in ("anna", "bert")} == {"a loan"}
    cluster.send("a", update(*ops, sequence=3, note="another one"))
    refused = cluster.row("a", "gold").because[0]
    assert (refused.status, refused.others, refused.note) == (Status.REFUSED, [], "another one")


def test_a_refusal_takes_a_step_that_remembers_it(cluster: Cluster) -> None:
    """So the refusal replicates, and its own row says why the version moved on."""
    cluster.send("a", update(op("gold", "subtract", n=1)))
    row = cluster.row("a", "gold")
    assert row.vector == {"a": 1}
    assert [(c.status, c.reason, c.effects) for c in row.because] == [(Status.REFUSED, Reason.INSUFFICIENT, [])]


def test_a_write_names_the_row_that_it_was_made_from(cluster: Cluster) -> None:
    """Its condition is the version of the region's own row, whatever other rows were joined."""
    cluster.send("a", update(op("score", "add", n=1)))
    cluster.send("b", update(op("score", "add", n=2), producer="b"))
    cluster.settle()
    cluster.send("a", update(op("score", "add", n=3), sequence=2))
    first, other, second = cluster.writes
    assert [(w.region, w.seen, w.version) for w in cluster.writes] == [
        ("a", None, "a:1"),
        ("b", None, "b:1"),
        ("a", "a:1", "a:2,b:1"),
    ]
    assert (first.old, other.old, second.old) == (None, None, first.new)
    assert cluster.value("a", "score") == 6


def test_what_is_wanted_leaves_out_the_update_s_other_operations(cluster: Cluster) -> None:
    """Region b lacks 95 of 100 after the 5 that the same update adds; neither those nor the score stay."""
    cluster.send("a", update(op("gold", "add", n=96)))
    cluster.settle()
    ops = [op("score", "add", n=1), op("gold", "add", n=5), op("gold", "subtract", n=100)]
    assert cluster.send("b", update(*ops, producer="b")) == refused(Reason.RIGHTS_ELSEWHERE)
    assert cluster.value("b", "score") == 0
    assert cluster.value("b", "gold") == 96
    assert cluster.row("b", "gold").state["b"] == [0, {}, 95]
    assert cluster.row("b", "score").vector == {"b": 1}


def test_what_is_wanted_counts_the_update_s_other_subtractions(cluster: Cluster) -> None:
    """Each of two subtractions could be made alone; together they need 20 more than region b holds."""
    cluster.send("b", update(op("bag", "add", item="arrow", n=100), producer="b"))
    cluster.send("a", update(op("bag", "add", item="arrow", n=50)))
    cluster.settle()
    shoot = op("bag", "subtract", item="arrow", n=60)
    assert cluster.send("b", update(shoot, shoot, producer="b", sequence=2)) == refused(Reason.RIGHTS_ELSEWHERE)
    account = escrow.unpack(cluster.row("b", "bag").state["b"]["arrow"])
    assert account == escrow.Account(net=100, given={}, wanted=20)


def test_a_full_memory_refuses_new_producers(cluster: Cluster) -> None:
    """The refusal is final: its repeat does nothing, and neither took effect."""
    replica = cluster.replica("a", Key("anna", "score"))
    for n in range(PRODUCERS_MAX):
        replica.remember(f"game-{n}", 1, NOW_MS, APPLIED, now=NOW_MS)
    memory = replica.memory["a"]
    one_more = update(op("score", "add", n=1), producer="one-more")
    cluster.send("a", update(op("score", "add", n=1), producer="game-1"))
    full = cluster.replica("a", Key("anna", "score"))
    full.set_memory(memory)
    assert judge(one_more, NOW_MS, [full]) == refused(Reason.TOO_MANY_PRODUCERS)
    assert judge(one_more, NOW_MS, [full]) == EXPIRED
    assert judge(update(op("score", "add", n=1), producer="game-2", sequence=2), NOW_MS, [full]) == APPLIED
    assert full.state == {"a": 2}


@given_traffic
def test_trades_leave_no_item_behind_and_make_none(commands: int, tape: Tape) -> None:
    """Promises 4 and 5: in the region that applies a trade no sum over the players changes, at any time; and when all
    rows have arrived everywhere, every region has exactly what was handed out, and nobody less than nothing.
    """
    cluster, sequence = Cluster(), 0
    players, items = ("anna", "bert", "cleo"), ("sword", "shield")
    for region in REGIONS:
        for player in players:
            gifts = [op("bag", "add", player, item=item, n=4) for item in items]
            cluster.send(region, update(*gifts, producer=region))
    handed_out = {item: 4 * len(REGIONS) * len(players) for item in items}

    def sums(region: str) -> dict[str, int]:
        bags = [cluster.value(region, "bag", player) for player in players]
        assert all(n > 0 for bag in bags for n in bag.values())
        return {item: sum(bag.get(item, 0) for bag in bags) for item in items}

    for _ in range(commands):
        region = tape.pick(REGIONS)
        if tape.number(2):
            cluster.deliver(region, tape.pick(cluster.writes))
            continue
        trade: list[Op] = []
        for _ in range(1 + tape.number(2)):
            item, giver, taker, n = tape.pick(items), tape.pick(players), tape.pick(players), 1 + tape.number(6)
            trade += [op("bag", "subtract", giver, item=item, n=n), op("bag", "add", taker, item=item, n=n)]
        sequence += 1
        before = sums(region)
        outcome = cluster.send(region, update(*trade, producer="trader", sequence=sequence))
        hypothesis.event(str(outcome.reason or outcome.status))
        assert sums(region) == before
    cluster.settle()
    assert [sums(region) for region in REGIONS] == [handed_out] * 3


@given_traffic
def test_regions_that_hold_the_same_rows_show_the_same(commands: int, tape: Tape) -> None:
    """Promise 3, for rows with all that they hold; when each has joined the others' rows, all vectors are equal and
    nobody takes another step.
    """
    cluster, sequences = Cluster(), dict.fromkeys(REGIONS, 0)
    for _ in range(commands):
        region = tape.pick(REGIONS)
        if cluster.writes and tape.number(3) == 2:
            cluster.deliver(region, tape.pick(cluster.writes))
            continue
        sequences[region] += 1 + tape.number(2)
        ops = [any_op(tape) for _ in range(1 + tape.number(3))]
        cluster.send(region, update(*ops, producer=region, sequence=sequences[region]))
    cluster.settle()
    for key in {write.key for write in cluster.writes}:
        assert len({str(cluster.view(region, key)) for region in REGIONS}) == 1
        replicas = [cluster.replica(region, key) for region in REGIONS]
        assert all(replica.vector == replicas[0].vector for replica in replicas)
        assert all(replica.state == replicas[0].state for replica in replicas)
        assert all(replica.memory == replicas[0].memory for replica in replicas)
        assert all(replica.write(NOW_MS) is None for replica in replicas)
