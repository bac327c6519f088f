"""Dead letters under the hands of operators, and updates that stay dead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from builders import letter
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.core.answers import Accepted, Rejected
from playerstate.core.letters import End, Ending, replayer
from playerstate.core.model import DeadLetter, Identity, Outcome, Status, Update
from playerstate.core.producers import PRODUCERS_MAX
from playerstate.core.schema import parse_schema
from playerstate.core.wire import encode_record, encode_update
from playerstate.errors import InvalidUpdate, OutcomeUnknown, SlowDown, Unavailable
from playerstate.folder import starter_schema
from playerstate.ports.stream import NewRecord
from playerstate.stages import put_aside
from playerstate.stages.accept import Accept, Lanes
from playerstate.stages.apply import Apply
from playerstate.stages.put_aside import PutAside
from stages.world import NOW_MS, REGION, World, records, update

HOUR_MS = 3_600_000
WITH_MANA = parse_schema(starter_schema().replace("version = 1", "version = 2") + '\n[keys.mana]\ntype = "counter"\n')
OWN = "@local.ab.1"


def with_mana(world: World) -> World:
    """The world under a schema that has the key, as after a start."""
    world.schema = WITH_MANA
    world.accept = Accept(WITH_MANA, world.stream, world.clock, Lanes("test", 2**30))
    world.apply = Apply(WITH_MANA, REGION, world.store, world.dead_letters, world.clock)
    world.project._images = World(schema=WITH_MANA).project._images
    return world


def mana(n: int, *, sequence: int = 1, producer: str = "game-1") -> Update:
    return update({"state_key": "mana", "op": "add", "n": n}, sequence=sequence, producer=producer)


def value(world: World, state_key: str = "mana") -> Any:
    return world.calls().get("ada", state_key).decoded()


def dead_mana(*updates: Update) -> tuple[World, list[DeadLetter]]:
    """A world that has put updates aside because its schema did not have their key, and has it now."""
    world = World()
    world.put_updates(*updates)
    world.step_all()
    letters = world.dead_letters.list()
    assert [one.code for one in letters] == ["unknown_key"] * len(updates)
    return with_mana(world), letters


def everything_again(world: World) -> None:
    """What a crash of the machine may bring: apply begins anew at the start of the stream."""
    world.checkpoints.save("apply", 0)
    world.apply = Apply(world.schema, REGION, world.store, world.dead_letters, world.clock)
    world.step_all()


# -- sending again


def test_a_letter_is_sent_again_and_goes() -> None:
    """Promise 10: under a producer of its own; what it was sent as is on record, and what came of it can be asked."""
    world, (one,) = dead_mana(mana(5))
    node = world.calls()
    answer = Accepted(replayer(one), 1, "ada", "mana")
    assert node.send_again(one.letter_id) == [answer]
    world.step_all()
    assert (value(world), world.dead_letters.list()) == (5, [])
    gone = node.gone_letter(one.letter_id)
    assert gone is not None
    assert gone.ending == Ending(End.SENT_AGAIN, NOW_MS, sent_as=[answer.identity])
    assert node.outcome(answer.identity) == Outcome(Status.APPLIED)
    assert node.outcome(mana(5).identity) == Outcome(Status.DEAD, "unknown_key")
    with pytest.raises(InvalidUpdate) as caught:
        node.send_again(one.letter_id)
    assert caught.value.code == "letter_gone"


@pytest.mark.parametrize("producer", ["game-1", OWN])
@pytest.mark.parametrize("end", ["send again", "leave", "discard"])
def test_what_was_put_aside_stays_dead(producer: str, end: str) -> None:
    """Promise 2: it takes no effect when the stream delivers it again, or its sender does, under whatever schema."""
    dead = mana(5, producer=producer)
    world, (one,) = dead_mana(dead)
    node = world.calls()
    if end == "send again":
        node.send_again(one.letter_id)
        world.step_all()
    elif end == "discard":
        node.discard(one.letter_id, reason="a test")
    expected = 5 if end == "send again" else 0
    everything_again(world)
    assert value(world) == expected
    world.put_updates(dead)
    world.step_all()
    everything_again(world)
    assert value(world) == expected
    assert node.outcome(dead.identity) == Outcome(Status.DEAD, "unknown_key")
    assert world.dead_letters.count() == (end == "leave")


def test_what_another_process_put_aside_stays_dead() -> None:
    """Promise 2: also for a process that began before, and to which that part of the stream comes now."""
    world = World()
    began_before = Apply(WITH_MANA, REGION, world.store, world.dead_letters, world.clock)
    world.put_updates(mana(5))
    world.step_all()
    assert world.dead_letters.count() == 1
    assert began_before.handle(records(world)).outcomes == {"duplicate": 1}
    assert value(with_mana(world)) == 0


def test_others_letters_are_taken_in_once() -> None:
    """Neither every batch nor what a process puts aside itself makes it read; what others put it reads, not all."""
    world, _ = dead_mana(mana(5))
    read: list[int] = []
    identities_since = world.dead_letters.identities_since

    def noted(mark: int) -> Sequence[Identity]:
        read.append(mark)
        return identities_since(mark)

    def all_again() -> Sequence[Identity]:
        raise AssertionError("all that is on record is read again")

    world.dead_letters.identities_since = noted  # type: ignore[method-assign]
    world.dead_letters.identities = all_again  # type: ignore[method-assign]
    world.put_updates(update({"state_key": "nothing", "op": "add", "n": 1}), update({"op": "add", "n": 1}, sequence=2))
    world.step_all()
    world.put_updates(update({"op": "add", "n": 1}, sequence=3))
    world.step_all()
    assert (world.dead_letters.count(), read) == (2, [])
    world.dead_letters.put([letter("another's")])
    for sequence in (4, 5):
        world.put_updates(update({"op": "add", "n": 1}, sequence=sequence))
        world.step_all()
    assert read == [2]


@pytest.mark.parametrize("others_first", [True, False])
@pytest.mark.parametrize("looks_between", [True, False])
@pytest.mark.parametrize("goes", [True, False])
def test_others_letters_are_not_missed_among_own_ones(others_first: bool, looks_between: bool, goes: bool) -> None:
    """Promise 2: in whatever order letters are put, by whomever, and also if another's goes before it is looked at."""
    letters = MemoryDeadLetters()
    aside = PutAside(letters)
    own = [letter(f"own-{n}", identity=mana(1, sequence=n).identity) for n in (1, 2)]
    others = [letter(f"other-{n}", identity=mana(1, sequence=n).identity) for n in (11, 12)]
    for mine, foreign in zip(own, others, strict=True):
        for put in (letters.put, aside.put) if others_first else (aside.put, letters.put):
            assert put([foreign if put == letters.put else mine]) == 1
        if goes:
            letters.end(foreign.letter_id, Ending(End.DISCARDED, NOW_MS, "a test"))
        if looks_between:
            aside.refresh()
    aside.refresh()
    assert all(one.identity and aside.holds(one.identity) for one in own + others)
    assert not aside.holds(mana(1, sequence=20).identity)


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was forgotten is let go of once there is much of it, whoever had put it; if all is on record it is known."""
    monkeypatch.setattr(put_aside, "KNOWN_MAX", 5)
    letters = MemoryDeadLetters()
    aside = PutAside(letters)
    for n in range(40):
        one = letter(f"{n:02}", identity=mana(1, sequence=n).identity)
        if n % 2:
            letters.put([one])
            aside.refresh()
        else:
            aside.put([one])
        letters.expire(2 * NOW_MS, 0, at=NOW_MS, limit=9)
        letters.forget(2 * NOW_MS, 0, limit=9)
        assert len(aside._known) <= 5
    read: list[int] = []
    identities = letters.identities
    monkeypatch.setattr(letters, "identities", lambda: (read.append(1), identities())[1])
    for n in range(40, 80):
        aside.put([letter(f"{n}", identity=mana(1, sequence=n).identity)])
    assert len(aside._known) == 40
    assert len(read) < 5


def test_a_batch_that_comes_again_counts_its_letters_once() -> None:
    """Whoever counts letters would otherwise count every try of a batch that fails behind them."""
    world = World()
    world.put_on_stream(b"no record")
    assert [world.apply.handle(records(world)).letters for _ in range(3)] == [1, 0, 0]


def test_an_update_is_put_aside_once() -> None:
    """Its repeats, in one batch or in later ones, are no letters of their own, which would be sent again twice."""
    world = World()
    world.put_on_stream(encode_record(NOW_MS, [encode_update(mana(1)), encode_update(mana(1))]))
    world.put_updates(mana(1), mana(2, sequence=2))
    outcomes = world.apply.handle(records(world)).outcomes
    assert outcomes == {"dead": 2, "duplicate": 2}
    world.put_updates(mana(1))
    everything_again(world)
    assert [one.identity and one.identity.sequence for one in world.dead_letters.list()] == [1, 2]


@pytest.mark.parametrize("error", [OutcomeUnknown("cut off"), KeyboardInterrupt()])
def test_cut_off_behind_the_append_and_repeated(error: BaseException) -> None:
    """Promise 2: the letter is still there, sending it again once more is a repeat, and then it goes."""
    world, (one,) = dead_mana(mana(5))
    append = world.stream.append

    def append_and_die(batch: Sequence[NewRecord]) -> int:
        append(batch)
        raise error

    world.stream.append = append_and_die  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        world.calls().send_again(one.letter_id)
    world.stream.append = append  # type: ignore[method-assign]
    world.step_all()
    world.clock.advance(HOUR_MS)
    kept = world.dead_letters.get(one.letter_id)
    assert kept is not None
    assert kept.tried_at == NOW_MS
    world.calls().send_again(one.letter_id)
    world.step_all()
    assert (value(world), world.dead_letters.list()) == (5, [])


def test_cut_off_before_the_append_and_repeated() -> None:
    """Nothing had been sent; it is sent now, with the time of the first try."""
    world, (one,) = dead_mana(mana(5))
    world.dead_letters.replace(structs.replace(one, tried_at=NOW_MS))
    world.clock.advance(40 * HOUR_MS)
    world.calls().send_again(one.letter_id)
    assert records(world)[-1].body == encode_record(
        NOW_MS + 40 * HOUR_MS,
        [encode_update(structs.replace(mana(5), producer=replayer(one), sequence=1))],
    )


@pytest.mark.parametrize("had_effect", [True, False])
def test_cut_off_long_ago(had_effect: bool) -> None:
    """Promise 2: after the memory's time it is not sent any more; the history may still know that it was."""
    world, (one,) = dead_mana(mana(5))
    if had_effect:
        end = world.dead_letters.end
        world.dead_letters.end = lambda *_: (_ for _ in ()).throw(Unavailable("away"))  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            world.calls().send_again(one.letter_id)
        world.dead_letters.end = end  # type: ignore[method-assign]
        world.step_all()
    else:
        world.dead_letters.replace(structs.replace(one, tried_at=NOW_MS))
    world.clock.advance(49 * HOUR_MS)
    before = len(records(world))
    (answer,) = world.calls().send_again(one.letter_id)
    assert len(records(world)) == before
    assert isinstance(answer, Accepted) == had_effect
    if isinstance(answer, Rejected):
        assert answer.code == "tried_before"
    assert world.dead_letters.count() == (not had_effect)


def test_a_refused_try_does_not_count() -> None:
    """Where nothing was taken the next try has its own time, however late it comes."""
    world, (one,) = dead_mana(mana(5))
    append = world.stream.append
    world.stream.append = lambda _: (_ for _ in ()).throw(SlowDown("busy"))  # type: ignore[method-assign]
    with pytest.raises(SlowDown):
        world.calls().send_again(one.letter_id)
    world.stream.append = append  # type: ignore[method-assign]
    assert world.dead_letters.list() == [one]
    world.clock.advance(100 * HOUR_MS)
    assert isinstance(world.calls().send_again(one.letter_id)[0], Accepted)
    world.step_all()
    assert value(world) == 5


def test_one_that_is_rejected_stays_and_may_be_tried_at_any_time() -> None:
    """What was wrong has not been put right yet."""
    world = World()
    world.put_updates(mana(5))
    world.step_all()
    (one,) = world.dead_letters.list()
    (answer,) = world.calls().send_again(one.letter_id)
    assert isinstance(answer, Rejected)
    assert (answer.code, world.dead_letters.list()) == ("unknown_key", [one])
    world.clock.advance(100 * HOUR_MS)
    with_mana(world).calls().send_again(one.letter_id)
    world.step_all()
    assert value(world) == 5


def several(world: World, *updates: Update) -> str:
    """The letter of a whole record, as a newer program leaves it to one that cannot read it yet."""
    body = encode_record(NOW_MS, [encode_update(one) for one in updates])
    world.dead_letters.put([DeadLetter("stream-9", "apply", NOW_MS, "newer_version", "newer", body)])
    return "stream-9"


def test_one_of_several_is_rejected() -> None:
    """The others are sent once, also if the letter is sent again long after; it goes when the last is accepted."""
    world = World()
    gold = [update({"op": "add", "n": n}, sequence=n) for n in (1, 2)]
    letter_id = several(world, gold[0], mana(7), gold[1])
    answers = world.calls().send_again(letter_id)
    assert [isinstance(answer, Accepted) for answer in answers] == [True, False, True]
    world.step_all()
    for _ in range(2):
        world.clock.advance(60 * HOUR_MS)
        answers = world.calls().send_again(letter_id)
        assert [isinstance(answer, Accepted) for answer in answers] == [True, False, True]
        world.step_all()
    assert (value(world, "gold"), world.dead_letters.count()) == (3, 1)
    answers = with_mana(world).calls().send_again(letter_id)
    world.step_all()
    assert (value(world, "gold"), value(world), world.dead_letters.count()) == (3, 7, 0)
    gone = world.dead_letters.latest_gone(letter_id)
    assert gone is not None
    assert [one.sequence for one in gone.ending.sent_as] == [1, 2, 3]


def test_one_of_several_had_been_processed() -> None:
    """Promise 2: that one is not sent, and said; the others are, and the letter goes."""
    world = with_mana(World())
    done = update({"op": "add", "n": 3}, sequence=1)
    world.put_updates(done)
    world.step_all()
    answers = world.calls().send_again(several(world, done, mana(7)))
    assert [answer.code for answer in answers if isinstance(answer, Rejected)] == ["processed"]
    world.step_all()
    assert (value(world, "gold"), value(world), world.dead_letters.count()) == (3, 7, 0)
    with pytest.raises(InvalidUpdate) as caught:
        world.calls().send_again(several(world, done))
    assert (caught.value.code, world.dead_letters.count()) == ("processed", 1)


def test_letters_of_queues_go_back_and_may_come_back() -> None:
    """What they say is told again, and recorded again if it fails again; every time is on record."""
    world = World()
    for _ in range(2):
        world.dead_letters.put([letter("link-1", stage="link", body=b"garbage")])
        assert world.calls().send_again("link-1") == []
    assert world.queues["link"].depth() == 2
    assert [gone.ending.end for gone in world.dead_letters.gone()] == [End.SENT_AGAIN] * 2
    world.step_all()
    assert [one.stage for one in world.dead_letters.list()] == ["link"]


def test_records_from_the_future_are_letters_of_their_updates() -> None:
    """Promise 2: so that each stays dead by its own identity, also those that accept has numbered itself."""
    world = World()
    future = encode_record(NOW_MS + 2 * HOUR_MS, [encode_update(mana(n, sequence=n, producer=OWN)) for n in (1, 2)])
    world.put_on_stream(future)
    world.step_all()
    with_mana(world).put_updates(mana(4, sequence=9, producer=OWN))
    world.step_all()
    node = world.calls()
    assert [one.code for one in world.dead_letters.list()] == ["too_new", "too_new"]
    assert node.outcome(Identity(OWN, 1, "ada", "mana")) == Outcome(Status.DEAD, "too_new")
    assert node.outcome(Identity(OWN, 9, "ada", "mana")) == Outcome(Status.APPLIED)


# -- what the rows say against it


def codes(answers: Sequence[Any]) -> list[str]:
    return [answer.code if isinstance(answer, Rejected) else "accepted" for answer in answers]


def test_a_letter_that_finds_no_room_stays() -> None:
    """Nothing is sent of it; after the memory's time there is room, and other keys have some at any time. Promise 1."""
    world, (full, other) = dead_mana(mana(5), update({"player_id": "bob", "state_key": "mana", "op": "add", "n": 7}))
    world.put_updates(*[mana(1, producer=f"p{n}") for n in range(PRODUCERS_MAX)])
    world.step_all()
    node = world.calls(on_accepted=world.step_all)
    before = len(records(world))
    assert codes(node.send_again(full.letter_id)) == ["too_many_producers"]
    assert (len(records(world)), world.dead_letters.get(full.letter_id)) == (before, full)
    assert codes(node.send_again(other.letter_id)) == ["accepted"]
    assert world.calls().get("bob", "mana").decoded() == 7
    world.clock.advance(49 * HOUR_MS)
    assert codes(node.send_again(full.letter_id)) == ["accepted"]
    assert (value(world), world.dead_letters.count()) == (PRODUCERS_MAX + 5, 0)


def test_a_producer_that_has_its_place_needs_no_other() -> None:
    """What was cut off in the middle is sent again, though the key is full by now."""
    world, (one,) = dead_mana(mana(5))
    world.put_updates(
        structs.replace(mana(5), producer=replayer(one), sequence=2),
        *[mana(1, producer=f"p{n}") for n in range(PRODUCERS_MAX - 1)],
    )
    world.step_all()
    assert codes(world.calls().send_again(one.letter_id)) == ["accepted"]


TRADED = ({"state_key": "mana", "op": "add", "n": -5}, {"player_id": "eve", "op": "add", "n": 5})


@pytest.mark.parametrize("apply_waits", [True, False])
def test_a_letter_brings_nothing_to_a_player_who_was_erased(*, apply_waits: bool) -> None:
    """Whoever it begins with, whether or not apply has come to the erasure; what came after it is sent. Promise 5."""
    world, (trade,) = dead_mana(update(*TRADED))
    world.clock.advance(1000)
    world.calls(on_accepted=(lambda: None) if apply_waits else world.step_all).erase("eve", reason="a request")
    world.clock.advance(1000)
    node = world.calls(on_accepted=world.step_all)
    if apply_waits:  # it is asked how far apply is, and has not come there
        load = world.checkpoints.load

        def load_and_step(name: str) -> int:
            world.checkpoints.load = load  # type: ignore[method-assign]
            found = load(name)
            world.step_all()
            return found

        world.checkpoints.load = load_and_step  # type: ignore[method-assign]
    assert codes(node.send_again(trade.letter_id)) == ["erased"]
    assert world.dead_letters.get(trade.letter_id) == trade
    assert world.calls().get("eve", "gold").decoded() == 0
    later = several(world, update(*TRADED, sequence=2, sent_at=world.clock.now_ms()))
    world.dead_letters.replace(structs.replace(world.dead_letters.list()[-1], at=world.clock.now_ms()))
    assert codes(node.send_again(later)) == ["accepted"]
    assert (value(world), world.calls().get("eve", "gold").decoded()) == (-5, 5)


def test_a_letter_that_is_erased_while_it_is_sent_again_is_gone() -> None:
    """It was there when it was read, and not when the try was noted: nothing is sent. Promise 5."""
    world, (one,) = dead_mana(mana(5))
    world.clock.advance(1000)
    replace = world.dead_letters.replace

    def erased_before(letter: DeadLetter) -> bool:
        world.accept.erase("ada", "a request")
        world.step_all()
        world.clock.advance(5)
        return replace(letter)

    world.dead_letters.replace = erased_before  # type: ignore[method-assign]
    with pytest.raises(InvalidUpdate) as caught:
        world.calls(on_accepted=world.step_all).send_again(one.letter_id)
    assert caught.value.code == "letter_gone"
    assert value(world) == 0


# -- discarding, expiring, erasing


@pytest.mark.parametrize("end", ["discard", "expire", "erase"])
def test_a_dead_update_of_accepts_own_is_never_applied(end: str) -> None:
    """Promise 2: such producers leave no gaps, so the record of the letter tells; once that is forgotten, it is said
    that nothing is known of it, and of no other.
    """
    world, (one,) = dead_mana(mana(5, producer=OWN, sequence=3))
    world.put_updates(mana(4, producer=OWN, sequence=2**16), update({"op": "add", "n": 1}, producer=OWN, sequence=2))
    world.step_all()
    node = world.calls()
    if end == "discard":
        node.discard(one.letter_id, reason="a test")
    elif end == "expire":
        assert node.expire_letters(NOW_MS + 1, 9, limit=9) == 1
    else:
        world.dead_letters.erase("ada", at=NOW_MS)
    assert world.dead_letters.count() == 0
    assert node.outcome(mana(5, producer=OWN, sequence=3).identity) == Outcome(Status.DEAD, "unknown_key")
    world.dead_letters.forget(NOW_MS + 1, 9, limit=9)
    assert node.outcome(mana(5, producer=OWN, sequence=3).identity) == Outcome(Status.EXPIRED)
    assert node.outcome(mana(4, producer=OWN, sequence=2**16).identity) == Outcome(Status.APPLIED)
    assert node.outcome(Identity(OWN, 2, "ada", "gold")) == Outcome(Status.APPLIED), "the history knows"


def test_discarding_needs_a_reason_and_a_letter() -> None:
    """Nothing goes without; what goes says why, and is not there to be sent again."""
    world, (one,) = dead_mana(mana(5))
    node = world.calls()
    for reason, code in (("", "no_reason"), (" ", "no_reason"), ("x" * 201, "bad_reason"), ("a\nb", "bad_reason")):
        with pytest.raises(InvalidUpdate) as caught:
            node.discard(one.letter_id, reason=reason)
        assert caught.value.code == code
    assert world.dead_letters.list() == [one]
    gone = node.discard(one.letter_id, reason="a broken server")
    assert gone.ending == Ending(End.DISCARDED, NOW_MS, "a broken server")
    assert (gone.letter_id, gone.code, gone.identity, gone.at) == (one.letter_id, one.code, one.identity, one.at)
    for call in (lambda: node.send_again(one.letter_id), lambda: node.discard(one.letter_id, reason="x")):
        with pytest.raises(InvalidUpdate) as caught:
            call()
        assert caught.value.code == "letter_gone"


def test_a_malformed_record_that_was_discarded_does_not_come_back() -> None:
    """It has no identity to be known by, but its place on the stream; another thing at that place is another letter."""
    world = World()
    world.put_on_stream(b"\xff\xff")
    world.step_all()
    (one,) = world.dead_letters.list()
    world.calls().discard(one.letter_id, reason="garbage")
    everything_again(world)
    assert world.dead_letters.list() == []
    world.stream = World().stream
    world.put_on_stream(b"\xfe")
    everything_again(world)
    assert [found.letter_id for found in world.dead_letters.list()] == [one.letter_id]


def test_letters_that_are_found_before_an_erasure_is_applied_go_with_it() -> None:
    """Of what lay on the stream before it; and what comes behind it stays, also when the erasure is delivered again."""
    world = World()
    world.put_updates(mana(1))
    world.calls().erase("ada", reason="ticket 1")
    world.put_updates(mana(2, sequence=2), update({"player_id": "bob", "state_key": "mana", "op": "add", "n": 1}))
    world.step_all()
    everything_again(world)
    assert [one.identity and one.identity[1:3] for one in world.dead_letters.list()] == [(2, "ada"), (1, "bob")]
    (gone,) = world.dead_letters.gone()
    assert (gone.ending.end, gone.identity) == (End.ERASED, mana(1).identity)


@pytest.mark.parametrize("same", [True, False])
def test_letters_of_one_id_in_two_regions(same: bool) -> None:
    """Promise 2: another update is another one, the same one is a repeat, wherever its letter was found."""
    there, (letter_there,) = dead_mana(mana(5))
    _, (letter_here,) = dead_mana(mana(5) if same else mana(6))
    assert letter_there.letter_id == letter_here.letter_id
    there.calls().send_again(letter_there.letter_id)
    there.step_all()
    world = there
    world.dead_letters.put([letter_here])
    world.calls().send_again(letter_here.letter_id)
    world.step_all()
    assert value(world) == (5 if same else 11)


def test_apply_asks_only_of_what_may_have_been_put_aside() -> None:
    """Promise 10: other updates do not wait for a look at the letters."""
    world, _ = dead_mana(mana(5))
    asked: list[Identity] = []
    code_of = world.dead_letters.code_of

    def noted(identity: Identity) -> str | None:
        asked.append(identity)
        return code_of(identity)

    world.dead_letters.code_of = noted  # type: ignore[method-assign]
    world.put_updates(update({"op": "add", "n": 1}), mana(5), mana(6, sequence=2))
    world.step_all()
    assert asked == [mana(5).identity]
