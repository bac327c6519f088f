"""The figures of a process that lives on: counted by several threads, told every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import structlog

from playerstate.aws.meter import Meter
from playerstate.backends.aws.emf import AwsMetric

FLUSH_EVERY_S = 5.0

log = structlog.get_logger(__name__)


class SharedMeter:
    """A `Meter` for threads over one for a single thread. While it is entered, it tells by itself what was counted.

    Figures that cannot be written are lost, and a line of the log says so: no stage waits for who reads them.
    """

    def __init__(self, meter: Meter, *, every_s: float = FLUSH_EVERY_S) -> None:
        self._meter = meter
        self._every_s = every_s
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._flush_often, name="playerstate-metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join()
        self.flush()

    def count(self, metric: AwsMetric, n: int = 1, *dimensions: str) -> None:
        """Count `n` more."""
        self._do(lambda: self._meter.count(metric, n, *dimensions))

    def observe(self, metric: AwsMetric, values: Iterable[float], *dimensions: str) -> None:
        """Add values to a distribution."""
        self._do(lambda: self._meter.observe(metric, values, *dimensions))

    def flush(self) -> None:
        """Tell what has been gathered."""
        self._do(self._meter.flush)

    def _do(self, call: Callable[[], None]) -> None:
        with self._lock:
            try:
                call()
            except OSError as exc:
                log.warning("metrics cannot be written", error=exc.strerror)

    def _flush_often(self) -> None:
        while not self._leaving.wait(self._every_s):
            self.flush()
