"""A load at a steady rate, beside whatever else goes on."""

from __future__ import annotations

import threading
import time
from typing import Self

from playerstate.node import Node
from playerstate.workload.prepared import life_like

TICK_S = 0.01


class Load:
    """Sends at its rate until it is stopped, whatever becomes of it."""

    def __init__(self, node: Node, rate_per_s: int) -> None:
        self._node = node
        self._rate_per_s = rate_per_s
        self._prepared = life_like(1)
        self._stopping = threading.Event()
        self.sent = 0
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="vigil-load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        began, tick = time.monotonic(), 0
        try:
            while not self._stopping.wait(max(0.0, began + tick * TICK_S - time.monotonic())):
                tick += 1
                calls = self._prepared.take(int(tick * TICK_S * self._rate_per_s) - self.sent)
                if calls:
                    self._node.service.send_many(calls)
                    self.sent += len(calls)
        except Exception as exc:  # noqa: BLE001 - whoever keeps the vigil has to hear of it
            self.error = exc
