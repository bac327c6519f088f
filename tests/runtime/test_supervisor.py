"""What looks after a node goes on, whatever it meets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from playerstate.errors import Unavailable
from playerstate.runtime import supervisor
from playerstate.runtime.supervisor import Duty, Supervisor


def failing(error: BaseException, done: list[str]) -> Callable[[], None]:
    def fail() -> None:
        done.append("failed")
        raise error

    return fail


@pytest.mark.parametrize("error", [OSError(12, "Cannot allocate memory"), Unavailable("away"), ValueError("?")])
def test_a_duty_that_fails_holds_up_no_other(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the next round, and it has its turn again itself."""
    monkeypatch.setattr(supervisor, "FAULT_PAUSE_S", 0.0)
    done: list[str] = []
    rounds = Supervisor([Duty("a", failing(error, done)), Duty("b", lambda: done.append("b"))])
    rounds.look()
    rounds.look()
    assert done == ["failed", "b"] * 2


def test_a_duty_that_met_a_fault_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the log would be full of it. What is away for the moment is tried at once."""
    said: list[tuple[str, Any]] = []
    monkeypatch.setattr(supervisor.log, "exception", lambda event, **about: said.append((event, about)), raising=False)
    done: list[str] = []
    rounds = Supervisor(
        [Duty("a", failing(OSError(12, "no memory"), done)), Duty("b", failing(Unavailable("."), done))]
    )
    for _ in range(3):
        rounds.look()
    assert len(done) == 1 + 3
    assert said == [("the supervisor met a fault; it tries again", {"duty": "a"})]


def test_what_need_not_be_done_at_once_has_its_time() -> None:
    """Not with the first round either."""
    done: list[str] = []
    rounds = Supervisor([Duty("later", lambda: done.append("later"), 1e9), Duty("b", lambda: done.append("b"))])
    rounds.look()
    rounds.look()
    assert done == ["b", "b"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_says_whether_it_runs() -> None:
    """A thread that has died though nobody stopped it is not well."""
    looked = threading.Event()
    rounds = Supervisor([Duty("a", looked.set)], every_s=0.0)
    assert not rounds.well
    rounds.start()
    assert looked.wait(10)
    assert rounds.well
    rounds.stop()
    assert rounds.well
    dead = Supervisor([Duty("a", failing(SystemExit(), []))], every_s=0.0)
    dead.start()
    dead._thread.join(10)
    assert not dead.well
