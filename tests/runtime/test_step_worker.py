"""A worker of steps: what it tries again, what stops it, and that it stops when it is told to."""

from __future__ import annotations

import threading

import pytest

from playerstate.errors import InvariantViolated, OutcomeUnknown, Unavailable
from playerstate.runtime import step_worker
from playerstate.runtime.step_worker import StepWorker


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_worker, "BACKOFF_MIN_S", 0.001)


def test_what_may_pass_is_tried_again() -> None:
    """A part that does not answer, an outcome that is unknown, and what nobody foresaw do not end the worker."""
    errors: list[Exception] = [Unavailable("away"), OutcomeUnknown("perhaps"), RuntimeError("what?")]

    def step() -> float:
        if errors:
            raise errors.pop()
        worker.stop()
        return 0.0

    worker = StepWorker("link", step)
    worker.run()
    assert errors == []


def test_a_broken_promise_stops_it() -> None:
    """Whoever runs the worker gets the error."""

    def step() -> float:
        raise InvariantViolated("damaged")

    with pytest.raises(InvariantViolated, match="damaged"):
        StepWorker("link", step).run()


def test_it_stops_in_a_pause() -> None:
    """Another thread stops it while it waits for its next step, however long that is."""
    stepped = threading.Event()

    def step() -> float:
        stepped.set()
        return 3600.0

    worker = StepWorker("verify", step)
    running = threading.Thread(target=worker.run, daemon=True)
    running.start()
    assert stepped.wait(10)
    worker.stop()
    running.join(10)
    assert not running.is_alive()
