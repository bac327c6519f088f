"""Loops, crews, doorbells: stages are driven whatever fails, woken when there is work, and stopped between steps."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from playerstate.core.answers import StageStats
from playerstate.core.model import Stage
from playerstate.errors import InvariantViolated, Unavailable
from playerstate.runtime.consumers import Report
from playerstate.runtime.crew import Crew
from playerstate.runtime.doorbell import Doorbell
from playerstate.runtime.freshness import BOUNDS_MS, Freshness, quantile
from playerstate.runtime.loop import Loop
from waiting import wait_until

LIMIT_S = 20.0


class Scripted:
    """A consumer that does as its script says: raise, or take so many inputs; then it has nothing to do."""

    name: Stage = "apply"
    linger_s = 0.0
    batch_max = 10

    def __init__(self, *script: int | Exception) -> None:
        self.stats = StageStats()
        self.steps = 0
        self.done = threading.Event()
        self._script = list(script)

    def step(self) -> int:
        self.steps += 1
        if not self._script:
            self.done.set()
            return 0
        act = self._script.pop(0)
        if isinstance(act, Exception):
            raise act
        return act

    def tell(self, report: Report) -> None:
        report.rows_written = self.steps


def run(consumer: Scripted, on_progress: Callable[[], None] = lambda: None) -> Loop:
    """Drive a consumer to the end of its script."""
    loop = Loop(consumer, on_progress=on_progress)
    loop.start()
    assert consumer.done.wait(LIMIT_S)
    return loop


@pytest.mark.parametrize("fault", [Unavailable("away"), ZeroDivisionError("a bug")])
def test_a_loop_outlives_faults(fault: Exception) -> None:
    """Promise 10: what fails is tried again; the fault is counted and told."""
    consumer = Scripted(3, fault, fault, 2)
    progress: list[int] = []
    loop = run(consumer, lambda: progress.append(1))
    assert loop.alive
    loop.stop()
    assert len(progress) == 2
    assert consumer.stats.failures == 2
    assert str(fault) in consumer.stats.last_error


def test_a_broken_promise_halts_the_loop() -> None:
    """Going on could only make it worse; the crew's report says that it no longer runs."""
    consumer = Scripted(1, InvariantViolated("two rows, one dot"), 1)
    crew = Crew([consumer])
    crew.start()
    wait_until(lambda: not crew.report().alive)
    assert consumer.steps == 2
    assert "one dot" in crew.report().stages["apply"].last_error
    crew.stop()


def test_a_woken_loop_looks_at_once_and_a_stopped_one_no_more() -> None:
    """Waking is not lost when it comes during a step; after a stop there is no step."""
    consumer = Scripted()
    loop = run(consumer)
    before = consumer.steps
    loop.wake()
    wait_until(lambda: consumer.steps > before)
    loop.stop()
    after = consumer.steps
    loop.wake()
    assert (loop.alive, consumer.steps) == (False, after)


def test_what_one_of_a_crew_has_done_wakes_the_others() -> None:
    """Stages of one process need no doorbell between them."""
    first, second = Scripted(1, 1), Scripted()
    rang = threading.Event()
    crew = Crew([first, second], on_progress=rang.set)
    crew.start()
    assert first.done.wait(LIMIT_S)
    assert second.done.wait(LIMIT_S)
    assert rang.is_set()
    crew.stop()


def readable(descriptor: int, timeout_s: float) -> bool:
    """Whether something comes within a time."""
    return bool(select.select([descriptor], [], [], timeout_s)[0])


def test_a_doorbell_is_heard_and_never_waits(tmp_path: Path) -> None:
    """Rings reach a listener, run together when there are many, and go nowhere when nobody listens."""
    ringer, listener = Doorbell(tmp_path / "bell"), Doorbell(tmp_path / "bell")
    ringer.ring()
    bell = listener.listen()
    assert not readable(bell, 0)
    for _ in range(100_000):  # more than a pipe holds
        ringer.ring()
    assert readable(bell, LIMIT_S)
    while readable(bell, 0):
        os.read(bell, 4096)
    ringer.ring()
    assert readable(bell, LIMIT_S), "it rings again once it was heard"
    os.close(bell)
    listener.close()
    ringer.ring()
    again = Doorbell(tmp_path / "bell")
    bell = again.listen()
    ringer.ring()
    ringer.ring()
    assert readable(bell, LIMIT_S), "a listener that was started again is heard too"
    os.close(bell)
    again.close()
    ringer.close()


def test_freshness_counts_every_age_once() -> None:
    """Quantiles are upper bounds, and a clock that was set back counts as no age at all."""
    freshness = Freshness()
    assert quantile(freshness.buckets(), 0.5) is None
    freshness.add([-5, 0, 1, 2, 7, 7, 7, 99_000_000])
    buckets = freshness.buckets()
    assert sum(buckets.values()) == 8
    assert (buckets["1"], buckets["8"], buckets["inf"]) == (3, 3, 1)
    assert (quantile(buckets, 0.5), quantile(buckets, 0.99)) == (2.0, float("inf"))
    assert list(buckets)[:-1] == [str(bound) for bound in BOUNDS_MS]
