"""What takes the messages of a queue: in a function those of an event, in a worker those of the queue itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from playerstate.aws.meter import Meter
from playerstate.aws.wiring import Wiring
from playerstate.ports.queue import Queue
from playerstate.runtime.consumers import Consumer


class Taking(NamedTuple):
    """A consumer, and what tells what has come of it since it was told last."""

    consumer: Consumer
    tell: Callable[[Meter], None] = lambda _: None


MakeTaking: TypeAlias = Callable[[Wiring, Meter, Queue], Taking]
"""Wires a consumer of a queue."""
