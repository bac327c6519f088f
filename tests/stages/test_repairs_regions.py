"""Repairs between regions: whose row is wrong is told by the others and by the history, and the region that writes it
puts it right by writing it once more.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import structs

from playerstate.core.findings import CACHE, STORE, Finding, Kind, Repair, copies_in
from playerstate.core.model import Key, Status, View
from playerstate.core.replica import Write
from playerstate.core.version_vector import format_vector
from playerstate.core.wire import encode_row, read_row_head, row_readers
from playerstate.stages.repairs import VERIFIER
from playerstate.stages.replicate import arrivals_of
from stages.regions import SCHEMA
from stages.verifying import CACHE_STALE_S, REGION_STALE_S, Watch, WatchedRegions, tamper, with_state
from stages.world import add

GOLD = Key("ada", "gold")


def regions(names: str = "abc") -> WatchedRegions:
    """Ada has 15 + 3 gold, some of it from either of two regions, and everything has come everywhere."""
    world = WatchedRegions(names)
    world.send("a", add(5))
    world.send("b", add(3, producer="b"))
    world.follow()
    world.send("a", add(1, sequence=2))
    world.follow()
    assert world.agree()
    return world


def row(world: WatchedRegions, region: str, owner: str) -> bytes:
    return world[region].store.load([GOLD])[GOLD][owner]


def changed(world: WatchedRegions, region: str, owner: str, amount: int = 999) -> None:
    """Change a row, in whatever region, to another value of the same version."""
    state = {"a": amount}
    tamper(world[region].store, GOLD, owner, with_state(SCHEMA, GOLD, row(world, region, owner), state))


def outcome(finding: Finding) -> tuple[str, Kind, Repair]:
    return finding.place, finding.kind, finding.repair


def check_put_right(world: WatchedRegions, *, value: int = 19) -> None:
    """Everybody shows the same again, nothing is found any more, and the history of the region says what it did."""
    assert world.agree()
    assert {world[name].view(GOLD).decoded() for name in world.names} == {value}
    assert {world.watched[name].cache.get(GOLD).decoded() for name in world.names} == {value}
    assert [finding for name in world.names for finding in world.watch(name).find(within_s=5)] == []
    (latest,) = world.watched["a"].audit.history(*GOLD, limit=1)[:1]
    (cause,) = latest.causes
    assert (cause.producer, [effect.op for effect in cause.effects]) == (VERIFIER, ["write_anew"])
    assert (cause.status, cause.n, cause.sequence) == (Status.APPLIED, latest.last, latest.last)
    assert msgspec.json.decode(latest.after) == value
    assert world.send("a", add(4, sequence=9)) == "applied"
    assert world.agree()


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_a_copy_that_was_changed(names: str) -> None:
    """Promise 8: the history tells with two regions, the majority with three; the owner writes its row once more."""
    world = regions(names)
    changed(world, "b", "a")
    assert not world.agree()
    assert [outcome(f) for f in world.watch("a").find()] == [(copies_in("b"), Kind.DIVERGED, Repair.REPAIRED)]
    check_put_right(world)


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_an_own_row_that_was_changed(names: str) -> None:
    """Promise 8: it is the store that is wrong, and found once, though it shows everywhere; copies bring it back."""
    world = regions(names)
    changed(world, "a", "a")
    assert not world.agree()
    tampered, commit, written = row(world, "a", "a"), world["a"].store.commit, list[Write]()

    def noted(groups: Any) -> list[bool]:
        written.extend(write for group in groups for write in group)
        return commit(groups)

    world["a"].store.commit = noted  # type: ignore[method-assign]
    assert [outcome(f) for f in world.watch("a").find()] == [(STORE, Kind.DIVERGED, Repair.REPAIRED)]
    assert [write.old for write in written] == [tampered]  # the history tells what was there
    check_put_right(world)


def test_most_regions_need_no_history() -> None:
    """Three regions tell by themselves which row is wrong."""
    for region in "ab":
        world = regions()
        world.watched["a"].audit.trim(world.clock.now_ms() + 1, limit=1000)
        changed(world, region, "a")
        place = STORE if region == "a" else copies_in("b")
        assert [outcome(f) for f in world.watch("a").find()] == [(place, Kind.DIVERGED, Repair.REPAIRED)]
        check_put_right(world)


def test_a_tie_without_a_history_is_left() -> None:
    """Two regions, two rows, and nobody who remembers: nothing is done, and that is said."""
    world = regions("ab")
    world.watched["a"].audit.trim(world.clock.now_ms() + 1, limit=1000)
    changed(world, "b", "a")
    before = row(world, "a", "a"), row(world, "b", "a")
    (finding,) = world.watch("a").find()
    assert outcome(finding) == (copies_in("b"), Kind.DIVERGED, Repair.LEFT)
    assert finding.detail == "another row; it cannot be told what is right"
    assert (row(world, "a", "a"), row(world, "b", "a")) == before
    assert world.watch("a").suspicions.open == 1


def test_three_regions_with_three_rows() -> None:
    """No two agree: the history says which of them was written."""
    for own in (True, False):
        world = regions()
        changed(world, "b", "a", 1000)
        changed(world, "a" if own else "c", "a", 2000)
        places = {STORE} if own else {copies_in("b"), copies_in("c")}
        found = world.watch("a").find()
        assert {(f.place, f.kind) for f in found} == {(place, Kind.DIVERGED) for place in places}
        assert Repair.REPAIRED in {f.repair for f in found} <= {Repair.REPAIRED, Repair.GONE}
        check_put_right(world)


@pytest.mark.parametrize("names", ["ab", "abc"])
@pytest.mark.parametrize("damage", [b"\xff", b""])
def test_a_copy_that_cannot_be_read(names: str, damage: bytes) -> None:
    """It is no row: there is nothing to weigh, and its owner writes it once more."""
    world = regions(names)
    tamper(world["b"].store, GOLD, "a", damage)
    assert [outcome(f) for f in world.watch("b").find()] == [(STORE, Kind.DIVERGED, Repair.LEFT)]
    assert [outcome(f) for f in world.watch("a").find()] == [(copies_in("b"), Kind.DIVERGED, Repair.REPAIRED)]
    world.follow()
    world.watch("b").look()
    assert [f.repair for f in world.watch("b").findings.list()] == [Repair.GONE]
    check_put_right(world)


@pytest.mark.parametrize("names", ["ab", "abc"])
@pytest.mark.parametrize("what_is_left", [0, 40])
def test_an_own_row_that_cannot_be_read(names: str, what_is_left: int) -> None:
    """Whether or not it still says its version, it comes back from where it was carried to, found once."""
    world = regions(names)
    tamper(world["a"].store, GOLD, "a", row(world, "a", "a")[:what_is_left] + b"\xc1")
    assert [outcome(f) for f in world.watch("a").find()] == [(STORE, Kind.DIVERGED, Repair.REPAIRED)]
    check_put_right(world)


def test_a_copy_that_differs_in_what_nobody_sees() -> None:
    """Its value is the same, the rest of the row is not: readers need no witness, and the writer's own is taken."""
    world = regions("ab")
    world.watched["a"].audit.trim(world.clock.now_ms() + 1, limit=1000)
    tampered = structs.replace(row_readers(SCHEMA)["gold"].decode(row(world, "b", "a")), memory={})
    tamper(world["b"].store, GOLD, "a", encode_row(tampered))
    assert [outcome(f) for f in world.watch("a").find()] == [(copies_in("b"), Kind.DIVERGED, Repair.REPAIRED)]
    check_put_right(world)


def test_a_row_that_can_be_read_nowhere_is_left() -> None:
    """Damage in most places is still damage."""
    world = regions()
    for region in "abc":
        tamper(world[region].store, GOLD, "a", b"\xff" if region == "a" else b"")
    (finding,) = world.watch("a").find()
    assert outcome(finding) == (STORE, Kind.DIVERGED, Repair.LEFT)
    assert finding.detail == "a row cannot be read; it cannot be told what is right"


def test_rows_that_were_damaged_in_each_others_regions() -> None:
    """An own row cannot be written once more while another one that it joins cannot be read: first that one comes."""
    world = regions("ab")
    tamper(world["a"].store, GOLD, "a", b"\xff")
    tamper(world["a"].store, GOLD, "b", b"\xff")
    (finding,) = world.watch("a").find()
    assert finding.detail.endswith(
        "another region's row cannot be read here, and that region has to write it once more"
    )
    assert [outcome(f) for f in world.watch("b").find()] == [(copies_in("a"), Kind.DIVERGED, Repair.REPAIRED)]
    world.carry("b", "a")
    assert [outcome(f) for f in world.watch("a").find(within_s=31)] == [(STORE, Kind.DIVERGED, Repair.REPAIRED)]
    assert world.agree()


def test_a_damaged_row_of_another_region_alone() -> None:
    """Where this region has no row of the key there is nothing that it could write."""
    world = WatchedRegions("ab")
    world.send("a", add(5))
    world.follow()
    tamper(world["b"].store, GOLD, "a", b"\xff")
    (finding,) = world.watch("b").find()
    assert finding.detail == "a row cannot be read; the row is not this region's"
    assert [outcome(f) for f in world.watch("a").find()] == [(copies_in("b"), Kind.DIVERGED, Repair.REPAIRED)]
    assert world.agree()


def test_a_damaged_row_whose_latest_version_has_come_to_one_region_only() -> None:
    """The latest copy is the witness, whatever most regions have."""
    world = regions()
    world.send("a", add(2, sequence=3))
    world.carry("a", "c")
    tamper(world["a"].store, GOLD, "a", b"\xff")
    assert [outcome(f) for f in world.watch("a").find()] == [(STORE, Kind.DIVERGED, Repair.REPAIRED)]
    check_put_right(world, value=21)


def test_a_damaged_row_of_which_all_copies_are_older_is_left() -> None:
    """Writing an older one would hand out its steps a second time: nothing is done, and that is said, not tried over
    and over as something new.
    """
    world = regions("ab")
    world.send("a", add(2, sequence=3))
    world.watched["a"].consumers[0].step()
    tamper(world["a"].store, GOLD, "a", b"\xff")
    found = world.watch("a").find(within_s=60)
    assert {outcome(f) for f in found} == {(STORE, Kind.DIVERGED, Repair.LEFT)}
    assert found[0].detail == "a row cannot be read; what is held elsewhere is older than the row that was lost"
    assert world.watch("a").findings.count() == 1
    assert row(world, "a", "a") == b"\xff"


def test_copies_that_are_ahead_are_left() -> None:
    """They may be the last trace of what their region has lost."""
    for lost in (True, False):
        world = regions("ab")
        ahead = row(world, "a", "a")
        if lost:
            world.send("a", add(2, sequence=3))
            world.carry("a", "b")
            tamper(world["a"].store, GOLD, "a", ahead, version=format_vector(read_row_head(ahead).vector))
        else:
            del world["a"].store._rows[GOLD]["a"]
        (finding,) = [f for f in world.watch("a").find() if f.place == copies_in("b")]
        assert (finding.kind, finding.repair) == (Kind.AHEAD, Repair.LEFT)
        assert "last trace" in finding.detail


def test_a_copy_that_never_comes() -> None:
    """Promise 8: what the way has passed, and is not there, is written once more after its limit."""
    world = regions("ab")
    world.send("a", add(2, sequence=3))
    world["a"].carried["b"] = world["a"].store.changes.head()
    found = world.watch("a").find(within_s=REGION_STALE_S)
    assert copies_in("b") not in {f.place for f in found}
    found = world.watch("a").find(within_s=5)
    assert [outcome(f) for f in found] == [(copies_in("b"), Kind.STALE, Repair.REPAIRED)]
    check_put_right(world, value=21)


def test_a_row_that_has_never_come() -> None:
    """The same, and it is called missing."""
    world = regions("ab")
    del world["b"].store._rows[GOLD]["a"]
    found = world.watch("a").find(within_s=REGION_STALE_S + 5)
    assert [outcome(f) for f in found] == [(copies_in("b"), Kind.MISSING, Repair.REPAIRED)]
    check_put_right(world)


def test_a_slow_way_is_no_finding() -> None:
    """Promise 8: whatever has not been carried is late, however long it takes; and when it comes nothing was wrong."""
    world = regions("ab")
    world.send("a", add(2, sequence=3))
    for one in world.watched["a"].consumers:
        one.step()
    assert world.watch("a").find(within_s=4 * REGION_STALE_S) == []
    assert world.agree()
    assert world.watch("a").find(within_s=5) == []


@pytest.mark.parametrize("own", [True, False])
def test_a_repair_that_races_with_a_write_changes_nothing(own: bool) -> None:
    """The row has moved on since it was looked at: no step is taken, and everything agrees by itself."""
    world = regions("ab")
    changed(world, "b", "a")
    one = world.watch("a")
    (difference,) = one.differences()
    if own:
        world.send("a", add(2, sequence=3))
    else:
        tamper(world["b"].store, GOLD, "a", row(world, "a", "a"))
    before = row(world, "a", "a")
    assert one.repairs.repair(difference) == (Repair.GONE, "it had changed when it was about to be put right")
    assert row(world, "a", "a") == before
    assert world.agree()


def test_a_write_between_reading_and_writing_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last moment: the row is written on condition, so that what came in between stays."""
    world = regions("ab")
    changed(world, "b", "a")
    one, store = world.watch("a"), world["a"].store
    (difference,) = one.differences()
    commit = store.commit

    def commit_after_another(groups: Any) -> list[bool]:
        monkeypatch.undo()
        world.send("a", add(2, sequence=3))
        return commit(groups)

    monkeypatch.setattr(store, "commit", commit_after_another)
    assert one.repairs.repair(difference)[0] is Repair.GONE
    assert world["a"].view(GOLD).decoded() == 21
    assert world.agree()


def test_regions_that_do_not_answer_hold_up_no_other() -> None:
    """A copy is put right whoever else is away; one whose region is away by now is tried again later."""
    world = regions()
    changed(world, "b", "a")
    world.silent = {"c"}
    assert [outcome(f) for f in world.watch("a").find()] == [(copies_in("b"), Kind.DIVERGED, Repair.REPAIRED)]
    world.silent = set()
    check_put_right(world)
    world = regions()
    changed(world, "b", "a")
    (difference,) = world.watch("a").differences()
    world.silent = {"b"}
    assert world.watch("a").repairs.repair(difference) == (Repair.FAILED, "the other region does not answer")


def test_a_cache_is_right_where_its_store_was_changed() -> None:
    """Nothing follows the damage meanwhile, and after the repair the cache is as it was."""
    world = regions("abc")
    changed(world, "a", "a")
    cache, one = world.watched["a"].cache, world.watch("a")
    before = cache.get(GOLD)
    world.watched["a"].audit.trim(world.clock.now_ms() + 1, limit=1000)
    one.repairs_wanted = False
    (finding,) = one.find(within_s=CACHE_STALE_S)[:1]
    assert outcome(finding) == (STORE, Kind.DIVERGED, Repair.LEFT)
    assert {f.place for f in one.findings.list()} == {STORE}
    assert cache.get(GOLD) == before
    one.repairs_wanted = True
    assert [outcome(f) for f in one.find(within_s=31)] == [(STORE, Kind.DIVERGED, Repair.REPAIRED)]
    check_put_right(world)


def test_a_region_that_may_not_write_repairs_no_rows() -> None:
    """It was retired, or does not know yet what it had done before it was restored. Its cache is repaired."""
    world = regions("ab")
    changed(world, "b", "a")
    world.watched["a"].cache.replace([View("ada", "gold", "x:1", msgspec.Raw(b"1"))])
    parts = world.watch("a").parts._replace(waits_for=lambda: "retired; b has taken over its rights")
    one, head = Watch(SCHEMA, "a", parts, world.clock), world["a"].store.changes.head()
    found = {f.place: f for f in one.find()}
    assert found[copies_in("b")].repair is Repair.LEFT
    assert (
        found[copies_in("b")].detail == "another row; this region may not write: retired; b has taken over its rights"
    )
    assert found[CACHE].repair is Repair.REPAIRED
    assert world["a"].store.changes.head() == head


def test_a_region_that_was_restored() -> None:
    """Under its new name its rows begin anew; what lies elsewhere of the old name is nobody's to compare."""
    world = regions("ab")
    restored = WatchedRegions("bc")
    for owner in "ab":
        tamper_in(restored, "b", owner, row(world, "b", owner))
        tamper_in(restored, "c", owner, row(world, "b", owner))
    assert restored.agree()
    restored.send("c", add(1, producer="again"))
    assert restored.agree()
    assert restored.watch("c").find(within_s=REGION_STALE_S + 5) == []
    assert restored.watched["c"].cache.get(GOLD).decoded() == 20
    assert CACHE in restored.watch("c").verify.look(["ada"]).compared


def tamper_in(world: WatchedRegions, region: str, owner: str, body: bytes) -> None:
    """Bring a row to a region by hand, as a restored backup does."""
    world[region].store.receive(arrivals_of(GOLD, {owner: body}))
