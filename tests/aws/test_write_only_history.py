"""A history that is only written to, as LiveAnalytics is: what would have asked it goes on without."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from playerstate.core.findings import Kind, Repair
from playerstate.core.model import Identity, View
from playerstate.errors import NotOffered
from stages.world import REGION, World, add


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    world.put_updates(add(5))
    world.step_all()

    def not_here(*_: Any, **__: Any) -> Any:
        raise NotOffered("this history is only written to")

    monkeypatch.setattr(world.audit, "history", not_here)
    return world


def test_verification_has_one_witness_less(world: World) -> None:
    """A cached value that differs is found and put right all the same."""
    world.cache.replace([View("ada", "gold", f"{REGION}:1", msgspec.Raw(b"99"))])
    (finding,) = world.verify_once().sample(10, repair=True).findings
    assert (finding.kind, finding.repair) == (Kind.DIVERGED, Repair.REPAIRED)
    assert world.value("ada", "gold") == 5


def test_outcomes_are_told_from_the_rows(world: World) -> None:
    """What the rows remember is answered; of what they do not know nobody knows."""
    calls = world.calls()
    found = calls.outcome(Identity("game-1", 1, "ada", "gold"))
    assert found is not None
    assert found.status == "applied"
    assert calls.outcome(Identity("game-1", 2, "ada", "gold")) is None
