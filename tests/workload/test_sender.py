"""The sender: what it books is what it sends, and its repeats are repeats."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import cast

from playerstate.api import AnyUpdate, PlayerState
from playerstate.core.answers import Accepted, Answer
from playerstate.core.model import Identity, Update
from playerstate.errors import OutcomeUnknown, Unavailable
from playerstate.workload.ledger import Ledger
from playerstate.workload.life import Life
from playerstate.workload.sender import Sender


class Recorder:
    """Accepts what it is sent, stops the sender after `enough` updates, and fails when told to."""

    def __init__(self, enough: int, failures: Sequence[Exception] = ()) -> None:
        self.calls: list[list[Update]] = []
        self.stop = threading.Event()
        self._enough = enough
        self._failures = list(failures)

    def send_many(self, updates: Sequence[AnyUpdate]) -> list[Answer]:
        call = [update for update in updates if isinstance(update, Update)]
        self.calls.append(call)
        if self._failures:
            raise self._failures.pop()
        if sum(map(len, self.calls)) >= self._enough:
            self.stop.set()
        return [Accepted(update.producer, update.sequence, *update.first_key) for update in call]

    def received(self) -> Counter[Identity]:
        return Counter(Identity(u.producer, u.sequence, *u.first_key) for call in self.calls for u in call)


def send(recorder: Recorder, *, seconds: float = 60.0) -> tuple[Sender, Ledger]:
    ledger = Ledger()
    node = cast("PlayerState", recorder)
    sender = Sender(node, Life(3, players=50), ledger, rate_per_s=100_000, seed=3)
    sender.run(seconds, recorder.stop)
    return sender, ledger


def test_everything_is_booked_once_and_some_is_sent_twice() -> None:
    """Repeats are word for word what was sent before; the figures tell them apart."""
    recorder = Recorder(enough=20_000)
    sender, ledger = send(recorder)
    received = recorder.received()
    first_sent = {trace.identity for trace in ledger.expected().traces}
    assert sender.error is None
    assert received.keys() == first_sent
    assert sender.sent == len(received)
    assert sender.repeats == received.total() - len(received) > 0
    assert 0.005 * sender.sent < sender.repeats < 0.05 * sender.sent
    assert all(update.sent_at > 0 for call in recorder.calls for update in call)
    words = {}
    for call in recorder.calls:
        for update in call:
            identity = Identity(update.producer, update.sequence, *update.first_key)
            assert words.setdefault(identity, update) == update


def test_a_failed_call_is_made_again_with_the_same_identities() -> None:
    """Whether or not it was known that nothing was done; it counts as retried, not as sent twice on purpose."""
    recorder = Recorder(enough=1, failures=[Unavailable("away"), OutcomeUnknown("perhaps")])
    sender, _ = send(recorder)
    assert recorder.calls[0] == recorder.calls[1] == recorder.calls[2]
    assert sender.retried == 2 * len(recorder.calls[0])
    assert sender.error is None


def test_what_ends_the_sending_is_kept() -> None:
    """A thread's end must not go unnoticed."""
    recorder = Recorder(enough=1, failures=[RuntimeError("broken")])
    sender, _ = send(recorder)
    assert isinstance(sender.error, RuntimeError)
    assert sender.sent == 0
