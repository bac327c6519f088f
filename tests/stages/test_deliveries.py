"""Promise 9, where known: what came again, or too late, is told in the history; and nothing hangs on that."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from playerstate.backends.memory.queue import MemoryQueue
from playerstate.core.model import Delivery, Key, Outcome, Status
from playerstate.core.producers import RETENTION_MS
from playerstate.core.told import decode_told, encode_deliveries, encode_told
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.stages import deliveries
from playerstate.stages.deliveries import AGAIN_AFTER_MS
from stages.world import NOW_MS, REGION, World, add, records, update

GOLD = Key("ada", "gold")
SPENT = {"op": "subtract", "n": 9}


def noted(world: World) -> list[tuple[str, int, int, str, bool]]:
    """Producer, sequence, position, status and whether it is a repeat, the latest first."""
    found = world.audit.deliveries("ada")
    return [(d.producer, d.sequence, d.position, str(d.outcome.status), d.outcome.duplicate) for d in found]


def test_repeats_are_told_with_their_first_outcome() -> None:
    """Of what was applied and of what was refused; how often each came, and where."""
    world = World()
    world.put_updates(add(5), update(SPENT, sequence=2), add(5))
    world.step_all()
    world.clock.advance(10)
    world.put_updates(update(SPENT, sequence=2), add(5))
    world.step_all()
    again, spent, first = world.audit.deliveries("ada", "gold")
    assert spent.outcome == Outcome(Status.REFUSED, "insufficient", duplicate=True)
    assert noted(world) == [
        ("game-1", 1, 5, "applied", True),
        ("game-1", 2, 4, "refused", True),
        ("game-1", 1, 3, "applied", True),
    ]
    assert (first.judged_at, again.judged_at, again.accepted_at) == (NOW_MS, NOW_MS + 10, NOW_MS + 10)
    assert {one.region for one in (again, spent, first)} == {REGION}


def test_what_comes_too_late_is_told() -> None:
    """It did nothing, and nobody remembers whether it had done something before."""
    world = World()
    world.put_updates(add(5, sent_at=NOW_MS - RETENTION_MS - 1))
    world.step_all()
    assert noted(world) == [("game-1", 1, 1, "expired", False)]
    assert world.audit.history("ada") == []


def test_what_takes_a_step_is_no_such_delivery() -> None:
    """Whatever comes of it: the history of what was written tells of it."""
    world = World()
    world.put_updates(add(5), update(SPENT, sequence=2), add(1, sequence=3, if_version="local:9"))
    world.step_all()
    assert noted(world) == []
    assert [len(transition.causes) for transition in world.audit.history("ada")] == [3]


def test_a_record_that_is_taken_again_is_told_once() -> None:
    """A crash before the position was noted: the same place on the stream is the same delivery."""
    world = World()
    world.put_updates(add(5), add(5))
    for _ in range(3):
        world.apply.handle(records(world))
    world.step_all()
    assert sorted(position for _, _, position, _, _ in noted(world)) == [1, 2]


def test_of_a_trade_the_first_key_is_told() -> None:
    """That is where the update is remembered."""
    world = World()
    trade = update({"op": "add", "n": 1}, {"op": "add", "n": 1, "player_id": "bob"})
    world.put_updates(trade, trade)
    world.step_all()
    assert len(noted(world)) == 1
    assert world.audit.deliveries("bob") == []


def test_erasing_takes_them_along() -> None:
    """Also those of the batch in which the erasure came, and those that the audit hears of after it; what comes again
    after the erasure is told.
    """
    world = World()
    world.put_updates(add(5), add(5))
    world.step_all()
    world.put_updates(add(5))
    world.accept.erase("ada", "asked for")
    world.put_updates(add(5))
    world.step_all()
    assert noted(world) == [("game-1", 1, records(world)[-1].position, "expired", False)]
    assert [one.epoch for one in world.audit.deliveries("ada")] == [1]


class Broken(MemoryQueue):
    """A queue that takes nothing, and counts how often it was asked."""

    asked = 0

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        self.asked += 1
        raise Unavailable("the disk is full")


def test_a_queue_that_takes_nothing_holds_up_nothing() -> None:
    """Promise 10: apply goes on, asks it again after a while, and what was to be told is gone."""
    world = World()
    queue = Broken(world.clock, Random(1))
    world.apply._note = deliveries.NoteDeliveries(REGION, queue, world.clock)
    for _ in range(3):
        world.put_updates(add(5), add(5))
        outcome = world.apply.handle(records(world))
    assert outcome.outcomes == {"duplicate": 6}
    assert queue.asked == 1
    world.clock.advance(AGAIN_AFTER_MS)
    world.apply.handle(records(world))
    assert queue.asked == 2


def test_so_many_of_a_batch_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is on what is told of a batch, in messages of a bounded size; the batch is processed whole."""
    monkeypatch.setattr(deliveries, "DELIVERIES_AT_ONCE_MAX", 5)
    monkeypatch.setattr(deliveries, "PER_MESSAGE_MAX", 2)
    world = World()
    world.put_updates(*[add(5) for _ in range(9)])
    assert world.apply.handle(records(world)).outcomes == {"applied": 1, "duplicate": 8}
    told = [decode_told(message.body) for message in world.queues["audit"].receive(99, visibility_s=1.0)]
    assert {len(one) for one in told} == {1, 2}
    assert len({d.position for one in told for d in one if isinstance(d, Delivery)}) == 5


def test_without_repeats_nothing_is_sent() -> None:
    """What has not happened costs nothing."""
    world = World()
    world.put_updates(add(5))
    world.apply.handle(records(world))
    assert world.queues["audit"].depth() == 0


@pytest.mark.parametrize("body", [b"", b"{", b"7", b'{"deliveries": 7}', b'{"deliveries": [], "more": 1}', b"[1]"])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    """It becomes a dead letter, as with every queue."""
    with pytest.raises(InvalidUpdate):
        decode_told(body)


def test_messages_of_both_kinds_are_read_as_they_were_written() -> None:
    """A list is of notices, an object of deliveries."""
    one = Delivery("ada", "gold", "r1", 1, 0, NOW_MS, "p", 1, 2, 3, Outcome(Status.EXPIRED), 4)
    assert decode_told(encode_deliveries([one])) == [one] == list(decode_told(encode_told([one])))
    assert decode_told(encode_told([])) == []
