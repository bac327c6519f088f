"""Accept: what it takes is on the stream, complete; what it does not take is answered with the reason."""

from __future__ import annotations

import pytest

from playerstate.core.answers import Accepted, Rejected
from playerstate.core.check import FUTURE_MAX_MS
from playerstate.core.wire import decode_record
from playerstate.errors import InvalidUpdate, OutcomeUnknown, SlowDown, Unavailable
from playerstate.stages.accept import LAG_MAX, RECORD_BYTES_MAX, Accept, Lanes
from stages.world import NOW_MS, World, records


def gold(player: str = "ada", **rest: object) -> dict[str, object]:
    return {"ops": [{"player_id": player, "state_key": "gold", "op": "add", "n": 1}], **rest}


def test_gives_identity_and_time_where_the_client_has_none() -> None:
    """Promise 1: what is acknowledged stands on the stream with the identity that the client was told."""
    world = World()
    answers = world.accept.handle([gold(), gold("eve"), gold()])
    assert all(isinstance(answer, Accepted) for answer in answers)
    sequences = [answer.sequence for answer in answers if isinstance(answer, Accepted)]
    assert sequences == sorted(set(sequences))
    read = [decode_record(record.body) for record in records(world)]
    assert [update.sequence for _, updates, _ in read for update in updates] == [1, 3, 2]
    assert all(update.sent_at == NOW_MS for _, updates, _ in read for update in updates)


def test_one_record_per_player_and_call() -> None:
    """A partial failure of an append cannot reorder a player's updates: they are one record."""
    world = World()
    world.accept.handle([gold("ada"), gold("eve"), gold("ada"), gold("ada")])
    assert [len(decode_record(record.body)[1]) for record in records(world)] == [3, 1]


def test_a_bad_update_does_not_keep_the_others_out() -> None:
    """Promise 10: bad input is answered, in its place, and the rest goes on."""
    world = World()
    answers = world.accept.handle(
        [gold(), b"{", gold(sequence=3), {"ops": []}, gold(producer="@me", sequence=1), gold()]
    )
    assert [type(answer) for answer in answers] == [Accepted, Rejected, Rejected, Rejected, Rejected, Accepted]
    codes = [answer.code for answer in answers if isinstance(answer, Rejected)]
    assert codes == ["malformed", "bad_sequence", "empty", "bad_name"]
    assert sum(len(decode_record(record.body)[1]) for record in records(world)) == 2


@pytest.mark.parametrize(
    ("sent_at", "code"), [(NOW_MS - 49 * 3_600_000, "too_old"), (NOW_MS + 2 * 3_600_000, "too_new")]
)
def test_times_beyond_bounds_are_refused(sent_at: int, code: str) -> None:
    """A sender's clock may be off, but not beyond what the memory and the stamps can stand."""
    (answer,) = World().accept.handle([gold(sent_at=sent_at)])
    assert isinstance(answer, Rejected)
    assert answer.code == code


def test_too_large_an_update_is_refused_and_large_calls_are_split() -> None:
    """No record outgrows the stream, and splitting keeps a player's order."""
    world = World()
    big = {"ops": [{"player_id": "ada", "state_key": "loadout", "op": "set", "value": "x" * 16_000}] * 3}
    (answer,) = world.accept.handle([{"ops": big["ops"] * 2}])
    assert isinstance(answer, Rejected)
    assert answer.code == "too_large"
    answers = world.accept.handle([big] * 12)
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert all(len(record.body) < RECORD_BYTES_MAX + 1000 for record in records(world))
    sequences = [update.sequence for record in records(world) for update in decode_record(record.body)[1]]
    assert sequences == sorted(sequences)


def test_slows_down_when_apply_lags() -> None:
    """More than can be handled is not taken: nothing is on the stream, and the caller may try again."""
    world = World()
    accept = Accept(world.schema, world.stream, world.clock, Lanes("test", 1), applied=lambda: -LAG_MAX)
    accept.handle([gold()])
    with pytest.raises(SlowDown):
        accept.handle([gold()])
    assert len(records(world)) == 1


@pytest.mark.parametrize(("error", "sequence"), [(Unavailable, 1), (OutcomeUnknown, 2)])
def test_only_numbers_that_may_be_on_the_stream_are_used_up(error: type[Exception], sequence: int) -> None:
    """Numbers stay near the stream's positions, which new ones are counted from; none is given to two updates."""
    world = World()

    class Failing:
        def append(self, batch: object) -> int:
            raise error("disk full")

    lanes = Lanes("test", 1)
    with pytest.raises(error):
        Accept(world.schema, Failing(), world.clock, lanes).handle([gold()])
    too_large = {"ops": [{"player_id": "ada", "state_key": "loadout", "op": "set", "value": "x" * 16_000}] * 6}
    rejected, accepted = Accept(world.schema, world.stream, world.clock, lanes).handle([too_large, gold()])
    assert isinstance(rejected, Rejected)
    assert isinstance(accepted, Accepted)
    assert accepted.sequence == sequence


def test_an_empty_batch_is_refused() -> None:
    """There is nothing to acknowledge."""
    with pytest.raises(InvalidUpdate, match="at least one update"):
        World().accept.handle([])


def test_calls_at_the_same_time_use_different_producers() -> None:
    """A lane's numbers reach the stream in their order because no two calls share it."""
    lanes = Lanes("test", 7)
    with lanes.borrow() as first, lanes.borrow() as second:
        assert first.producer != second.producer
        assert (first.next_sequence, second.next_sequence) == (7, 7)
    with lanes.borrow() as again:
        assert again in (first, second)


def test_answers_are_counted() -> None:
    """What was accepted, what was rejected by its code, and calls that were asked to slow down."""
    world = World()
    world.accept.handle([gold(), b"{", {"ops": []}, gold()])
    world.accept.handle([b"{"])
    world.accept.erase("ada", "asked for")
    told = world.accept.stats()
    assert told.accepted == 2 + len(world.schema.keys)
    assert (told.rejected, told.slowed_down) == ({"malformed": 2, "empty": 1}, 0)
    behind = Accept(world.schema, world.stream, world.clock, Lanes("test", 1), applied=lambda: -LAG_MAX - 10)
    with pytest.raises(SlowDown):
        behind.handle([gold()])
    assert behind.stats().slowed_down == 1


def test_how_far_senders_clocks_are_ahead() -> None:
    """The furthest of the last minute; one that is rejected for it counts too, one that is behind does not."""
    world = World()
    for ahead_ms in (-5_000, 0, 7_000, 300):
        world.accept.handle([gold(sent_at=world.clock.now_ms() + ahead_ms), gold()])
    assert world.accept.stats().senders_ahead_s == 7.0
    world.clock.advance(120_000)
    assert world.accept.stats().senders_ahead_s == 0.0
    world.accept.handle([gold(sent_at=2**52)])
    assert world.accept.stats().senders_ahead_s == FUTURE_MAX_MS / 1000, "a time in other units is no measure"
