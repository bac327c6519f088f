"""The figures of workers: counted by threads, told by themselves, and nothing waits for who reads them."""

from __future__ import annotations

import io
import json
import threading

from playerstate.aws.shared_meter import SharedMeter
from playerstate.backends.aws.emf import ROWS_WRITTEN, Emf
from playerstate.backends.memory.clock import ManualClock
from waiting import wait_until

THREADS, COUNTS = 4, 2_000


class Broken(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def total(told: str) -> int:
    return sum(json.loads(line)["RowsWritten"] for line in told.splitlines())


def test_threads_count_together() -> None:
    """Nothing that a thread counts is lost or doubled, while figures are told all the time, and when it is left."""
    stream = io.StringIO()
    with SharedMeter(Emf("game", stream, ManualClock()), every_s=0.001) as meter:

        def count() -> None:
            for _ in range(COUNTS):
                meter.count(ROWS_WRITTEN)

        threads = [threading.Thread(target=count) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(lambda: stream.getvalue() != "", "figures to be told before the end")
    assert total(stream.getvalue()) == THREADS * COUNTS


def test_nobody_reads_them() -> None:
    """Figures that cannot be written are let go, and no stage hears of it."""
    with SharedMeter(Emf("game", Broken(), ManualClock()), every_s=3600) as meter:
        meter.count(ROWS_WRITTEN)
        meter.flush()
        meter.count(ROWS_WRITTEN)
