"""SQS's own ways: calls of ten, messages that a call does not take, large ones, and consumers that work over them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from aws.queues import NOISE, MemoryOverflow, hidden, make_queue
from ministack import MiniStack
from playerstate.backends.aws.bodies import MESSAGE_BYTES_MAX
from playerstate.backends.aws.clients import TRIES_MAX, Clients
from playerstate.backends.aws.queue import DELAY_S_MAX, WAIT_S_MAX, SqsQueue
from playerstate.backends.aws.sending import ENTRIES_MAX
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.core.model import Notice
from playerstate.core.wire import encode_notices
from playerstate.errors import InvalidUpdate, NotNow, OutcomeUnknown, SlowDown, Unavailable
from playerstate.runtime import messages
from playerstate.runtime.messages import QueueConsumer
from waiting import wait_until


class Answering:
    """A client whose answers are given: the entries that a call leaves, each with its code, or an error.

    An entry is left by the body that it has. Further calls take everything.
    """

    def __init__(self, *answers: dict[str, str] | Exception, receives: Sequence[Any] = ()) -> None:
        self.answers = list(answers)
        self.receives = list(receives)
        self.sent: list[list[str]] = []
        self.delays: set[int] = set()
        self.asked: list[tuple[int, int]] = []

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        assert 0 < len(Entries) <= ENTRIES_MAX
        assert sum(len(entry["MessageBody"]) for entry in Entries) <= MESSAGE_BYTES_MAX
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        self.delays |= {entry["DelaySeconds"] for entry in Entries}
        self.sent.append([entry["MessageBody"] for entry in Entries if entry["MessageBody"] not in answer])
        left = [entry for entry in Entries if entry["MessageBody"] in answer]
        return {
            "Failed": [
                {"Id": e["Id"], "Code": answer[e["MessageBody"]], "SenderFault": answer[e["MessageBody"]] == "Wrong"}
                for e in left
            ]
        }

    def delete_message_batch(self, *, QueueUrl: str, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        self.sent.append([entry["ReceiptHandle"] for entry in Entries])
        return {"Failed": [{"Id": e["Id"], "Code": answer[h]} for e in Entries if (h := e["ReceiptHandle"]) in answer]}

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        self.asked.append((asked["MaxNumberOfMessages"], asked["WaitTimeSeconds"]))
        answer = self.receives.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {
            "Messages": [
                {"Body": b, "ReceiptHandle": b, "Attributes": {"ApproximateReceiveCount": "1"}} for b in answer
            ]
        }


def queue_on(client: Answering) -> SqsQueue:
    clients = Clients("us-east-1", wait=lambda _: None)
    clients._clients["sqs"] = client
    return SqsQueue(clients, "url")


def answered(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "SendMessageBatch")


def test_calls_hold_what_they_may() -> None:
    """Ten messages and 256 KB a call; every message is in one of them, in order."""
    client = Answering()
    small, large = [b"%d" % n for n in range(25)], [letter * 100_000 for letter in (b"a", b"b", b"c")]
    queue_on(client).send([*small, *large])
    assert [len(sent) for sent in client.sent] == [10, 10, 7, 1]
    assert [body.encode() for sent in client.sent for body in sent] == [*small, *large]


def test_what_a_call_leaves_is_sent_again() -> None:
    """That and nothing else, until it is taken."""
    client = Answering({"b": "InternalError", "c": "InternalError"}, {"c": "ThrottlingException"})
    queue_on(client).send([b"a", b"b", b"c"])
    assert client.sent == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(("code", "error"), [("ThrottlingException", SlowDown), ("InternalError", Unavailable)])
def test_nothing_was_taken(code: str, error: type[NotNow]) -> None:
    """After a bounded number of calls that is definite."""
    client = Answering(*[{"a": code}] * 100)
    with pytest.raises(error):
        queue_on(client).send([b"a"])
    assert client.sent == [[]] * TRIES_MAX


@pytest.mark.parametrize(
    "answers",
    [
        [{"b": "InternalError"}] * TRIES_MAX,
        [{"b": "Wrong"}],
        [{"b": "InternalError"}, answered("AccessDenied")],
        [ReadTimeoutError(endpoint_url="x")],
        [answered("InternalFailure", 500)],
    ],
    ids=["left for good", "refused", "refused the second time", "no answer", "a fault of its own"],
)
def test_some_may_have_been_taken(answers: list[Any]) -> None:
    """Then nobody is told that nothing was done."""
    with pytest.raises(OutcomeUnknown):
        queue_on(Answering(*answers)).send([b"a", b"b"])


def test_a_later_call_that_fails() -> None:
    """What calls before it have sent is sent; the first call that fails has sent nothing."""
    bodies = [b"%d" % n for n in range(ENTRIES_MAX + 1)]
    with pytest.raises(OutcomeUnknown):
        queue_on(Answering({}, answered("AccessDenied"))).send(bodies)
    client = Answering(answered("AccessDenied"))
    with pytest.raises(Unavailable):
        queue_on(client).send(bodies)
    assert client.sent == []


def test_nothing_is_sent_of_what_cannot_be() -> None:
    """One message that is too large keeps those before it back, as does a delay that is too long."""
    client = Answering()
    with pytest.raises(InvalidUpdate, match=r"\$\[1\]"):
        queue_on(client).send([b"small", NOISE])
    with pytest.raises(ValueError, match="900"):
        queue_on(client).send([b"small"], delay_s=DELAY_S_MAX + 0.1)
    assert client.sent == []


def test_delays_are_whole_seconds() -> None:
    """Never shorter than what was asked for."""
    client = Answering()
    queue_on(client).send([b"a"], delay_s=0.5)
    queue_on(client).send([b"a"], delay_s=DELAY_S_MAX)
    queue_on(client).send([b"a"])
    assert client.delays == {0, 1, DELAY_S_MAX}


def test_deleting_again_is_harmless() -> None:
    """So an answer that never came is no question; what is not valid any more is let be, other failures are not."""
    client = Answering(ReadTimeoutError(endpoint_url="x"), {"a": "ReceiptHandleIsInvalid", "b": "InternalError"})
    queue_on(client).delete(["a", "b", "c"])
    assert client.sent == [["a", "b", "c"], ["b"]]
    with pytest.raises(Unavailable):
        queue_on(Answering(*[{"a": "InternalError"}] * TRIES_MAX)).delete(["a"])


def test_what_was_received_is_not_given_up() -> None:
    """A receive whose later call fails gives what came before; one whose first call fails, fails."""
    first = [str(n) for n in range(ENTRIES_MAX)]
    client = Answering(receives=[first, answered("AccessDenied")])
    assert len(queue_on(client).receive(40, visibility_s=1)) == ENTRIES_MAX
    with pytest.raises(Unavailable):
        queue_on(Answering(receives=[answered("AccessDenied")])).receive(40, visibility_s=1)


def test_receives_until_there_are_no_more() -> None:
    """SQS may give fewer than it has, so only none says that there are none; the first call alone waits."""
    client = Answering(receives=[["a", "b", "c"], [str(n) for n in range(10)], []])
    assert len(queue_on(client).receive(40, visibility_s=1)) == 13
    assert client.asked == [(10, 1), (10, 0), (10, 0)]
    client = Answering(receives=[["a", "b"], ["c"], ["d"]])
    assert [message.body for message in queue_on(client).receive(4, visibility_s=1)] == [b"a", b"b", b"c", b"d"]
    assert client.asked == [(4, 1), (2, 0), (1, 0)]


def test_waits_are_shorter_than_answers_may_take() -> None:
    """A receive that waited longer would be given up, and hide what it brings."""
    with pytest.raises(ValueError, match="waits"):
        SqsQueue(Clients("us-east-1"), "url", wait_s=WAIT_S_MAX + 1)


def test_large_messages(ministack: MiniStack) -> None:
    """They come out as they went in, several calls long; one whose body cannot be had now comes again."""
    overflow = MemoryOverflow()
    queue = make_queue(ministack, overflow=overflow)
    bodies = [NOISE, b"a" * 900_000, b"\x00" * 100_000, *(Random(n).randbytes(90_000) for n in range(3))]
    queue.send(bodies)
    got = overflow.get

    def away(name: str) -> bytes:
        raise Unavailable("away")

    overflow.get = away  # type: ignore[method-assign]
    received = queue.receive(40, visibility_s=1)
    assert sorted(message.body for message in received) == sorted(bodies[1:])
    queue.delete([message.receipt for message in received])
    overflow.get = got  # type: ignore[method-assign]
    wait_until(lambda: hidden(queue) == 0, "the large message to be visible")
    (message,) = queue.receive(40, visibility_s=30)
    assert (message.body, message.attempt) == (NOISE, 2)


def notice_of(player_id: str) -> Notice:
    return Notice(player_id, "gold", "us", "us:1", 1, 0, msgspec.Raw(b"1"))


def consumer_of(queue: SqsQueue, handle: Any, letters: MemoryDeadLetters) -> QueueConsumer:
    return QueueConsumer("audit", queue, handle, letters, ManualClock())


def test_consumers_work_over_it(ministack: MiniStack) -> None:
    """All that is notices is handled, what is none is put aside, and nothing is left."""
    queue = make_queue(ministack)
    handled: list[Notice] = []
    letters = MemoryDeadLetters()
    consumer = consumer_of(queue, handled.extend, letters)
    assert consumer.step() == 0
    sent = [notice_of(f"p{n}") for n in range(60)]
    queue.send([encode_notices(sent[:10]), b"no notices", *(encode_notices([notice]) for notice in sent[10:])])
    steps = 0
    while consumer.step():
        steps += 1
    assert steps == 2
    assert sorted(handled, key=str) == sorted(sent, key=str)
    assert [letter.body for letter in letters.list()] == [b"no notices"]
    assert (queue.depth(), queue.dead()) == (0, [])


def test_consumers_leave_the_tries_to_the_queue(ministack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage cannot take now comes again, and is dead by the queue's own policy after too many attempts."""
    monkeypatch.setattr(messages, "VISIBILITY_S", 1.0)
    queue = make_queue(ministack, attempts_max=2)

    def away(_: Sequence[Any]) -> int:
        raise Unavailable("the graph is away")

    body = encode_notices([notice_of("ada")])
    queue.send([body])
    consumer = consumer_of(queue, away, MemoryDeadLetters())
    for _ in range(2):
        assert queue.dead() == []
        with pytest.raises(Unavailable):
            consumer.step()
        wait_until(lambda: hidden(queue) == 0, "the message to be visible again")
    assert consumer.step() == 0
    assert queue.dead() == [body]
