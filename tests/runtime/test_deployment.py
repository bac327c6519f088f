"""What regions share: which of them there are and were, and what the ways between them are like."""

from __future__ import annotations

from pathlib import Path

import pytest

from playerstate.deployment import Deployment, Plan, Region, Retirement
from playerstate.errors import RegionRefused, StartRefused
from playerstate.runtime.replication import LinkSettings


def plan(**heirs: str | None) -> Plan:
    """A plan of regions, each with its heir if it is retired."""
    return Plan(1, {name: Region(name, Retirement(1, heir) if heir else None) for name, heir in heirs.items()})


def test_heirs_have_heirs() -> None:
    """Who takes over from a region that had taken over takes that too."""
    assert plan(a="b", b="c", c=None, d="c").retirements() == {"a": "c", "b": "c", "d": "c"}


def test_heirs_that_lead_nowhere() -> None:
    """A file that somebody has changed by hand ends nobody: a circle, and an heir that nobody knows."""
    assert set(plan(a="b", b="a").retirements()) == {"a", "b"}
    assert plan(a="x", b=None).retirements() == {"a": "x"}


def test_what_cannot_be_retired_so() -> None:
    """By itself, by one that is gone, by another than before. The same again changes only that it may be lost."""
    before = plan(a=None, b=None, c="b")
    for gone, by in (("a", "a"), ("a", "c"), ("a", "x"), ("c", "a")):
        with pytest.raises(RegionRefused):
            before.with_retired(gone, by=by, at=2)
    assert before.with_retired("c", by="b", at=2) == before
    lost = before.with_retired("c", by="b", at=2, lost=True)
    assert lost.regions["c"].retired == Retirement(1, "b", lost=True)
    assert lost.with_retired("c", by="b", at=3) == lost


def test_ways_have_directions() -> None:
    """Those that nobody has changed are as every way is."""
    changed = plan(a=None, b=None).with_way("a", "b", LinkSettings(lag_ms=5))
    assert (changed.way("a", "b").lag_ms, changed.way("b", "a").lag_ms) == (5, 0)


def test_the_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    """Also by others; and changes that are made at the same time are all made."""
    one = Deployment.make(tmp_path, ["a", "b"])
    other = Deployment(tmp_path)
    assert list(other.plan().regions) == ["a", "b"]
    one.change(lambda plan: plan.with_way("a", "b", LinkSettings(cut=True)))
    other.change(lambda plan: plan.with_way("b", "a", LinkSettings(cut=True)))
    assert one.plan() == other.plan()
    assert [one.plan().way(*way).cut for way in (("a", "b"), ("b", "a"))] == [True, True]


def test_a_newer_versions_file_is_refused(tmp_path: Path) -> None:
    """It may say what this program does not understand."""
    deployment = Deployment.make(tmp_path, ["a"])
    file = tmp_path / "deployment.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(StartRefused, match="newer version"):
        Deployment(tmp_path).plan()
    with pytest.raises(StartRefused, match="newer version"):
        deployment.plan()
