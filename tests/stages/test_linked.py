"""How far the graph has surely come: link's queue has no order, so what it still holds may be anything."""

from __future__ import annotations

from random import Random

from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.queue import MemoryQueue
from playerstate.backends.memory.stream import MemoryCheckpoints
from playerstate.stages.verify import Linked
from stages.world import NOW_MS


def test_only_an_empty_queue_says_that_the_graph_was_told() -> None:
    """Promise 8: what waits, or is being handled, explains that the graph lags; then it is up to project."""
    checkpoints, queue = MemoryCheckpoints(), MemoryQueue(ManualClock(NOW_MS), Random(0))
    linked = Linked(checkpoints, queue)
    checkpoints.save("project", 5)
    assert linked() == 5
    queue.send([b"a notice"])
    checkpoints.save("project", 9)
    assert linked() == 5
    (message,) = queue.receive(1, visibility_s=60)
    assert linked() == 5
    queue.delete([message.receipt])
    assert linked() == 9
