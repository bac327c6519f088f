"""A driven verification for each test that asks for one."""

from __future__ import annotations

import pytest

from runtime.driven import Driven
from stages.world import World


@pytest.fixture
def driven() -> Driven:
    return Driven(World())
