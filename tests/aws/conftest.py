"""What the tests of pollers start with."""

from __future__ import annotations

import time

import pytest

from aws.receiving import Receiver
from playerstate.backends.memory.clock import ManualClock


@pytest.fixture
def receiver() -> Receiver:
    """A handler that notes what it is called with."""
    return Receiver()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at the time by which the emulator notes when records arrive."""
    return ManualClock(time.time_ns() // 1_000_000)
