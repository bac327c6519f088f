"""Setting values and undoing updates, the whole way on memory backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from playerstate.core.amendment import Amendment
from playerstate.core.answers import Accepted
from playerstate.core.findings import VERIFIER
from playerstate.core.model import Identity, Key, Outcome, Reason, Status, Transition
from playerstate.core.producers import RETENTION_MS
from playerstate.core.schema import TypeName, parse_schema
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.runtime import amending
from playerstate.service import Service
from playerstate.stages import retrace
from stages.world import World, update

TYPES: tuple[TypeName, ...] = get_args(TypeName)
SCHEMA = parse_schema(
    '[game]\nname = "all"\nversion = 1\n' + "\n".join(f'[keys.{name}]\ntype = "{name}"' for name in TYPES)
)
APPLIED = Outcome(Status.APPLIED)
WHY = "ticket 4711"
PLAYERS = ("ada", "eve")

Ops = list[dict[str, Any]]


class Raced(Service):
    """Something happens between what was read and what is sent, once, where a test says so."""

    race: Callable[[], object] | None = None

    def send(self, update: Any) -> Any:
        race, self.race = self.race, None
        if race:
            race()
        return super().send(update)


class Support(World):
    """A world in which whatever is sent has gone all the way when the call returns, with the calls of support."""

    def __init__(self) -> None:
        super().__init__(schema=SCHEMA)
        self.service = self.calls(Raced, on_accepted=self.step_all)

    def send(self, *updates: Ops) -> list[Identity]:
        """Send updates so that one write of a row may process several; their identities."""
        self.clock.advance(10)
        answers = self.service.send_many([{"ops": ops} for ops in updates])
        assert all(isinstance(answer, Accepted) for answer in answers)
        return [answer.identity for answer in answers if isinstance(answer, Accepted)]

    def outcomes(self, identities: Sequence[Identity]) -> list[Outcome | None]:
        return [self.service.outcome(identity) for identity in identities]

    def values(self) -> dict[Key, Any]:
        """What readers see of every key, also of those that nobody wrote."""
        return {Key(player, name): self.service.get(player, name).decoded() for player in PLAYERS for name in TYPES}

    def undo(self, identity: Identity, why: str = WHY) -> Amendment:
        self.clock.advance(10)
        return self.service.undo(identity, reason=why)

    def refusal(self, identity: Identity) -> str:
        """Why an update is not undone; whatever it is, nothing has changed."""
        before = self.values()
        with pytest.raises(InvalidUpdate) as caught:
            self.undo(identity)
        assert self.values() == before
        return caught.value.code

    def causes(self, player_id: str, state_key: str) -> list[Any]:
        return [c for t in self.audit.history(player_id, state_key, limit=1000) for c in reversed(t.causes)]


def op(state_key: str, name: str, player_id: str = "ada", **arguments: Any) -> dict[str, Any]:
    return {"player_id": player_id, "state_key": state_key, "op": name, **arguments}


NAMES = st.sampled_from("xyz")
SOME = st.lists(NAMES, min_size=1, max_size=2)
FEW = st.integers(0, 4)


def ops_of(type_name: TypeName) -> st.SearchStrategy[dict[str, Any]]:
    """Operations of a type, but for those whose delta is worked out from what they find."""

    def one(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.builds(op, st.just(type_name), st.just(name), st.sampled_from(PLAYERS), **arguments)

    return {
        "counter": one("add", n=st.integers(-4, 4)),
        "bounded_counter": one("add", n=FEW) | one("subtract", n=FEW),
        "inventory": one("add", item=NAMES, n=FEW) | one("subtract", item=NAMES, n=FEW),
        "register": one("set", value=FEW),
        "multi_register": one("set", value=FEW),
        "max_register": one("set", value=FEW),
        "min_register": one("set", value=FEW),
        "flag": one("enable") | one("disable"),
        "set": one("add", elements=SOME) | one("remove", elements=SOME),
        "map": one("set", field=NAMES, value=FEW) | one("remove", field=NAMES),
    }[type_name]


NEVER = {"max_register", "min_register"}
UNDONE: dict[str, int] = dict.fromkeys(TYPES, 0)
"""On how many examples of each type something was undone."""


@pytest.mark.parametrize("type_name", TYPES)
def test_what_is_undone_is_as_if_it_had_never_been(type_name: TypeName) -> None:
    """Of every type, with whatever was done before and since, in one write or several; or it is refused, and nothing
    has changed. Undoing it again changes nothing, and the undoing can be undone. Promises 5, 9.
    """
    undone = 0

    @hypothesis.settings(max_examples=60, deadline=None)
    @hypothesis.given(
        batches=st.lists(
            st.lists(st.lists(ops_of(type_name), min_size=1, max_size=3), min_size=1, max_size=2),
            min_size=1,
            max_size=5,
        ),
        chosen=st.integers(0, 9),
    )
    def check(batches: list[list[Ops]], chosen: int) -> None:
        nonlocal undone
        world, without = Support(), Support()
        for one in (world, without):  # of these, one that had no value before cannot be undone
            one.send(*([op("multi_register", "set", player, value=0)] for player in PLAYERS))
        sent = [identity for batch in batches for identity in world.send(*batch)]
        place = chosen % len(sent)
        others = [outcome for at, outcome in enumerate(world.outcomes(sent)) if at != place]
        with_it = world.values()
        try:
            amendment = world.undo(sent[place])
        except InvalidUpdate as exc:
            codes = {"overwritten", "cannot_be_known", "cannot_be_undone", "nothing_to_undo", "not_applied"}
            assert exc.code in codes  # noqa: PT017
            assert world.values() == with_it
            return
        assert type_name not in NEVER
        assert amendment.update is not None
        if amendment.outcome != APPLIED:
            assert amendment.outcome == Outcome(Status.REFUSED, Reason.INSUFFICIENT)
            assert world.values() == with_it
            return
        at = 0
        left = []
        for batch in batches:
            kept = [ops for offset, ops in enumerate(batch, at) if offset != place]
            at += len(batch)
            left += without.send(*kept) if kept else []
        if without.outcomes(left) == others:  # or something would have been refused without it
            undone += 1
            assert world.values() == without.values()
        after = world.values()
        assert {Key(c.player_id, c.state_key): _decoded(c.after) for c in amendment.changes}.items() <= after.items()
        assert world.refusal(sent[place]) == "already_undone"
        again = world.undo(amendment.update.identity)
        if again.outcome == APPLIED:
            assert world.values() == with_it

    check()
    assert bool(undone) == (type_name not in NEVER)


def _decoded(raw: Any) -> Any:
    return msgspec.json.decode(raw)


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")  # for to Python true is 1


TRADE = [
    op("bounded_counter", "subtract", n=30),
    op("bounded_counter", "add", "eve", n=30),
    op("inventory", "add", item="sword", n=1),
    op("inventory", "subtract", "eve", item="sword", n=1),
]


def traded() -> tuple[Support, Identity]:
    """ada has bought eve's sword."""
    world = Support()
    world.send([op("bounded_counter", "add", n=50)], [op("inventory", "add", "eve", item="sword", n=1)])
    (trade,) = world.send(TRADE)
    return world, trade


def test_a_trade_is_undone_on_both_sides() -> None:
    """In one update, whose note says what was undone and why; from either side its history leads to it. Promise 9."""
    world, trade = traded()
    before = world.values()
    assert world.undo(trade).outcome == APPLIED
    after = world.values()
    assert (after["ada", "bounded_counter"], after["eve", "bounded_counter"]) == (50, 0)
    assert (after["ada", "inventory"], after["eve", "inventory"]) == ({}, {"sword": 1})
    for player in PLAYERS:
        for name in ("bounded_counter", "inventory"):
            latest = world.causes(player, name)[0]
            assert latest.note == f"undo of {trade.producer}#{trade.sequence}: {WHY}"
    (undoing,) = {(c.producer, c.sequence) for player in PLAYERS for c in world.causes(player, "inventory")[:1]}
    again = world.undo(Identity(*undoing, "ada", "bounded_counter"), "it was right after all")
    assert (again.outcome, world.values()) == (APPLIED, before)
    assert world.refusal(trade) == "already_undone"
    with pytest.raises(InvalidUpdate, match="undo ada bounded_counter"):
        world.undo(trade._replace(player_id="eve"))


@pytest.mark.parametrize(
    "spent", [op("bounded_counter", "subtract", "eve", n=1), op("inventory", "subtract", item="sword", n=1)]
)
def test_a_trade_of_which_something_was_spent_is_undone_on_no_side(spent: dict[str, Any]) -> None:
    """It is refused for want of it, on every side; once it is there again, another try succeeds. Promises 4, 5."""
    world, trade = traded()
    world.send([spent])
    before = world.values()
    told = world.service.undo(trade, reason=WHY, dry_run=True)
    for _ in range(2):
        assert world.undo(trade).outcome == told.outcome == Outcome(Status.REFUSED, Reason.INSUFFICIENT)
        assert world.values() == before
    world.send([{**spent, "op": "add"}])
    undone = world.undo(trade)
    assert undone.outcome == APPLIED
    assert undone.update is not None
    assert undone.update.sequence == 3
    assert world.values()["eve", "inventory"] == {"sword": 1}


def test_what_is_spent_meanwhile_stays_spent() -> None:
    """It was there when the undo was worked out, and is not when it is applied: nothing changes, on no side.

    Promises 4, 5.
    """
    world, trade = traded()
    world.service.race = lambda: world.put_updates(update(op("bounded_counter", "subtract", "eve", n=1)))
    before = world.values()
    assert world.undo(trade).outcome == Outcome(Status.REFUSED, Reason.INSUFFICIENT)
    assert world.values() == {**before, Key("eve", "bounded_counter"): 29}


def test_two_at_once_undo_once() -> None:
    """Whoever worked it out from the same history repeats what the other one sent. Promise 2."""
    world, trade = traded()
    other = world.service.undo(trade, reason="mine", dry_run=True).update
    assert other is not None
    assert world.undo(trade).outcome == APPLIED
    after = world.values()
    assert isinstance(world.service.send(other), Accepted)
    assert world.values() == after


def test_what_was_worked_out_holds_only_for_what_was_read() -> None:
    """A change between reading and applying makes it be worked out anew, on any of its keys. Promise 5."""
    world = Support()
    (befriended,) = world.send([op("set", "add", elements=["eve"]), op("register", "set", "eve", value="x")])
    world.service.race = lambda: world.put_updates(update(op("set", "add", elements=["bob"])))
    undone = world.undo(befriended)
    assert undone.outcome == APPLIED
    assert undone.update is not None
    assert undone.update.sequence == 2
    assert (world.values()["ada", "set"], world.values()["eve", "register"]) == (["bob"], None)
    (befriended,) = world.send([op("set", "add", elements=["eve"]), op("register", "set", "eve", value="x")])
    world.service.race = lambda: world.put_updates(update(op("register", "set", "eve", value="y"), sequence=2))
    with pytest.raises(InvalidUpdate, match="later update has decided eve/register"):
        world.undo(befriended)
    assert (world.values()["ada", "set"], world.values()["eve", "register"]) == (["bob", "eve"], "y")


@pytest.mark.parametrize("raced", PLAYERS)
def test_what_comes_while_the_history_is_read_is_not_overwritten(raced: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The undo holds for the rows that it was checked against, not for later ones. Promise 5."""
    world = Support()
    world.send([op("register", "set", player, value="old") for player in PLAYERS])
    (wrong,) = world.send([op("register", "set", player, value="wrong") for player in PLAYERS])
    history = world.audit.history
    races = [lambda: world.send([op("register", "set", raced, value="newer")])]

    def raced_history(player_id: str, *args: Any, **kwargs: Any) -> list[Transition]:
        found = history(player_id, *args, **kwargs)
        if player_id == raced and races:
            races.pop()()
        return found

    monkeypatch.setattr(world.audit, "history", raced_history)
    with pytest.raises(InvalidUpdate, match="later update has decided"):
        world.undo(wrong)
    assert not races
    assert world.values()[raced, "register"] == "newer"


def test_a_key_that_is_always_raced_is_given_up() -> None:
    """As a conflict, with nothing changed by it."""
    world = Support()
    (named,) = world.send([op("register", "set", value="x")])
    sequences = iter(range(1, 100))

    def refuse() -> None:
        """What is refused takes a step, too."""
        world.service.race = refuse
        ops = op("register", "set", value="z"), op("bounded_counter", "subtract", n=1)
        world.put_updates(update(*ops, sequence=next(sequences)))

    world.service.race = refuse
    undone = world.undo(named)
    assert undone.outcome == Outcome(Status.CONFLICT)
    assert undone.update is not None
    assert undone.update.sequence == amending.TRIES_MAX
    assert world.values()["ada", "register"] == "x"


def test_it_is_still_known_when_the_producer_memory_has_forgotten() -> None:
    """After 48 h only the history knows that it was undone. Promise 2."""
    world, trade = traded()
    world.undo(trade)
    world.clock.advance(RETENTION_MS + 1)
    late = {"producer": "game-9", "sent_at": world.clock.now_ms()}
    world.put_updates(*(update(op("bounded_counter", "add", player, n=100), **late) for player in PLAYERS))
    world.step_all()
    assert not any("undo:" in str(body) for body in world.store.load([Key("ada", "bounded_counter")]).values())
    assert world.refusal(trade) == "already_undone"


def test_an_undo_of_which_nothing_is_known_any_more_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The history never heard of it, and the row has forgotten it: it is seen that a step is not told. Promise 2."""
    monkeypatch.setattr(amending, "LAG_MAX_S", 0.0)
    world, trade = traded()
    with monkeypatch.context() as lost:
        lost.setattr(world.audit, "append", lambda transitions: None)
        world.undo(trade)
    world.clock.advance(RETENTION_MS + 1)
    late = {"producer": "game-9", "sent_at": world.clock.now_ms()}
    world.put_updates(*(update(op("bounded_counter", "add", player, n=100), **late) for player in PLAYERS))
    world.step_all()
    assert world.refusal(trade) == "history_incomplete"


def test_what_is_erased_stays_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of its keys was erased; also by an erasure that comes between reading and applying. Promise 5."""
    for player in PLAYERS:
        world, trade = traded()
        world.service.erase(player, reason=WHY)
        assert world.refusal(trade) == "erased"
    world, trade = traded()
    monkeypatch.setattr(world.audit, "append", lambda transitions: None)
    monkeypatch.setattr(world.audit, "erase", lambda epochs: 0)
    world.service.erase("eve", reason=WHY)
    assert world.refusal(trade) == "erased"  # though the history has not heard of it
    monkeypatch.setattr(amending, "LAG_MAX_S", 0.0)
    world = Support()
    (added,) = world.send([op("counter", "add", n=5)])
    world.service.race = lambda: world.service.erase("ada", reason=WHY)
    assert world.undo(added).outcome is None
    assert world.values()["ada", "counter"] == 0
    assert world.refusal(added) == "erased"


def test_what_the_history_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With why: never seen, refused then, of another key, or a history that has lost a side."""
    monkeypatch.setattr(amending, "LAG_MAX_S", 0.0)
    world, trade = traded()
    assert world.refusal(trade._replace(sequence=10**9)) == "not_found"
    assert world.refusal(trade._replace(producer="nobody")) == "not_found"
    (refused,) = world.send([op("bounded_counter", "subtract", n=1000)])
    assert world.refusal(refused) == "not_applied"
    (best,) = world.send([op("max_register", "set", value=3), op("counter", "add", n=1)])
    assert world.refusal(best) == "cannot_be_undone"
    assert world.refusal(best._replace(producer=VERIFIER)) == "cannot_be_undone", "it is no update"
    world.audit._players["eve"].clear()
    assert world.refusal(trade) == "history_incomplete"
    for why in ("", " ", "x" * 201, "a\nb"):
        with pytest.raises(InvalidUpdate, match="reason"):
            world.undo(trade, why)


def test_an_update_is_named_by_its_first_key() -> None:
    """Two updates of one producer may have the same number and change the same key: nobody's is mistaken for another's.

    Promise 2.
    """
    world = Support()
    for ops in [op("counter", "add", "eve", n=1)], [op("counter", "add", n=20), op("counter", "add", "eve", n=300)]:
        world.clock.advance(10)
        world.put_updates(update(*ops))
        world.step_all()
    assert world.undo(Identity("game-1", 1, "eve", "counter")).outcome == APPLIED
    assert world.values()["eve", "counter"] == 300
    assert world.undo(Identity("game-1", 1, "ada", "counter")).outcome == APPLIED
    assert (world.values()["ada", "counter"], world.values()["eve", "counter"]) == (0, 0)


def test_so_many_writes_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page; what lies behind them is not found, and that is said."""
    monkeypatch.setattr(retrace, "PAGE", 2)
    world = Support()
    (first,) = world.send([op("counter", "add", n=1)])
    for n in range(6):
        world.send([op("counter", "add", n=10**n)])
    monkeypatch.setattr(retrace, "SEARCHED_MAX", 6)
    assert world.refusal(first) == "not_found"
    monkeypatch.setattr(retrace, "SEARCHED_MAX", 8)
    assert world.undo(first).outcome == APPLIED


def test_it_waits_for_a_history_that_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit follows a moment later; what is undone right after it was sent is found all the same."""
    world = Support()
    held: list[Transition] = []
    append, pauses = world.audit.append, 0

    def hold(transitions: Sequence[Transition]) -> None:
        held.extend(transitions)

    def pause(_seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        append(held)

    monkeypatch.setattr(world.audit, "append", hold)
    monkeypatch.setattr(amending.time, "sleep", pause)
    (added,) = world.send([op("counter", "add", n=5), op("set", "add", elements=["bob"])])
    assert world.undo(added).outcome == APPLIED
    assert pauses == 1
    assert (world.values()["ada", "counter"], world.values()["ada", "set"]) == (0, [])


def test_nothing_is_read_before_apply_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that waits on the stream would otherwise be overlooked."""
    monkeypatch.setattr(amending, "WAIT_MAX_S", 0.05)
    world, trade = traded()
    world.put_updates(update(op("counter", "add", n=1)))
    with pytest.raises(Unavailable, match="nothing was done"):
        world.undo(trade)
    with pytest.raises(Unavailable, match="nothing was done"):
        world.service.set_value("ada", "counter", 5, reason=WHY)


def test_a_number_that_was_set_since_counts_as_what_that_came_to() -> None:
    """So that what an update moved is moved back, and no sum changes. Promise 5."""
    world = Support()
    added, set_to = world.send([op("bounded_counter", "add", n=5)], [op("bounded_counter", "set", n=20)])
    assert world.undo(added).outcome == APPLIED
    assert world.values()["ada", "bounded_counter"] == 15
    assert world.undo(set_to).outcome == APPLIED
    assert world.values()["ada", "bounded_counter"] == 0
    (replaced,) = world.send([op("inventory", "replace", items={"bow": 2, "gem": 2**60})])
    world.send([op("inventory", "replace", items={"bow": 3})])
    assert world.undo(replaced).outcome == Outcome(Status.REFUSED, Reason.INSUFFICIENT)


VALUES: dict[TypeName, st.SearchStrategy[Any]] = {
    "counter": st.integers(-(2**60), 2**60).map(lambda n: n if abs(n) <= 2**53 else str(n)),
    "bounded_counter": st.integers(0, 9) | st.just(str(10**30)),
    "register": st.none() | st.booleans() | st.integers(0, 1) | st.text("ab", max_size=2),
    "multi_register": st.lists(st.integers(0, 2) | st.booleans(), min_size=1, max_size=1),
    "max_register": st.integers(0, 9),
    "min_register": st.integers(0, 9),
    "flag": st.booleans(),
    "set": st.lists(NAMES, unique=True).map(sorted),
    "map": st.dictionaries(NAMES, st.integers(0, 2) | st.booleans()),
    "inventory": st.dictionaries(NAMES, st.integers(1, 9)),
}


@pytest.mark.parametrize("type_name", TYPES)
def test_a_key_is_set_to_a_value(type_name: TypeName) -> None:
    """Whatever its type and whatever it had, also where it changes meanwhile; the history says why. Only a max or min
    register cannot go back. Promise 9.
    """

    @hypothesis.settings(max_examples=40, deadline=None)
    @hypothesis.given(
        before=st.lists(st.lists(ops_of(type_name), min_size=1, max_size=2), max_size=3),
        meanwhile=st.none() | ops_of(type_name),
        value=VALUES[type_name],
    )
    def check(before: list[Ops], meanwhile: dict[str, Any] | None, value: Any) -> None:
        world = Support()
        for ops in before:
            world.send(ops)
        present = world.values()["ada", type_name]
        if meanwhile is not None and type_name not in NEVER:
            world.service.race = lambda: world.put_updates(update({**meanwhile, "player_id": "ada"}))
        try:
            amendment = world.service.set_value("ada", type_name, value, reason=WHY)
        except InvalidUpdate as exc:
            assert exc.code == "cannot_be_set"  # noqa: PT017
            assert type_name in NEVER
            assert present is not None
            return
        assert amendment.outcome == APPLIED
        assert _text(world.values()["ada", type_name]) == _text(value)
        if amendment.update is not None:
            assert f"set: {WHY}" in [cause.note for cause in world.causes("ada", type_name)]
            again = world.service.set_value("ada", type_name, value, reason=WHY)
            assert (again.update, again.changes) == (None, [])

    check()


@pytest.mark.parametrize(
    ("type_name", "value", "code"),
    [
        ("counter", True, "cannot_be_set"),
        ("counter", 2**60, "out_of_range"),
        ("register", {"x": object()}, "bad_value"),
        ("counter", 1.5, "cannot_be_set"),
        ("counter", "five", "bad_number"),
        ("bounded_counter", -1, "out_of_range"),
        ("multi_register", [1, 2], "cannot_be_set"),
        ("multi_register", 1, "cannot_be_set"),
        ("flag", 1, "cannot_be_set"),
        ("set", "bob", "cannot_be_set"),
        ("set", [1], "cannot_be_set"),
        ("set", [""], "bad_name"),
        ("map", [], "cannot_be_set"),
        ("map", {f"f{n}": n for n in range(26)}, "too_many_operations"),
        ("inventory", 5, "cannot_be_set"),
        ("inventory", {"sword": -1}, "out_of_range"),
    ],
)
def test_a_value_that_cannot_be_is_refused(type_name: TypeName, value: Any, code: str) -> None:
    """In the type's own words where it has some, before anything is sent. Promise 10."""
    world = Support()
    with pytest.raises(InvalidUpdate) as caught:
        world.service.set_value("ada", type_name, value, reason=WHY)
    assert caught.value.code == code
    assert world.stream.head() == 0


def test_a_rehearsal_sends_nothing() -> None:
    """It says what would come of it, and what each key would be."""
    world, trade = traded()
    head = world.stream.head()
    told = world.service.undo(trade, reason=WHY, dry_run=True)
    assert world.stream.head() == head
    assert [(c.player_id, c.state_key, _decoded(c.before), _decoded(c.after)) for c in told.changes] == [
        ("ada", "bounded_counter", 20, 50),
        ("eve", "bounded_counter", 30, 0),
        ("ada", "inventory", {"sword": 1}, {}),
        ("eve", "inventory", {}, {"sword": 1}),
    ]
    told = world.service.set_value("ada", "bounded_counter", 7, reason=WHY, dry_run=True)
    assert world.stream.head() == head
    assert [(c.version, _decoded(c.before), _decoded(c.after)) for c in told.changes] == [("local:2", 20, 7)]
