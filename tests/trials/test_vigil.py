"""When a vigil counts as kept: everything found in time and as what it is, and nothing because nobody looked."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from playerstate.core.answers import VerificationStats
from playerstate.core.findings import CACHE, GRAPH, STORE, Kind, Repair, copies_in
from playerstate.trials.vigil_report import FOUND_WITHIN_S, Planted, VigilReport

RIGHT = Planted(
    "a value changed", CACHE, Kind.DIVERGED, "ada/gold", 0,
    found_as=f"{CACHE}:{Kind.DIVERGED}", found_after_s=3.0, repair=Repair.REPAIRED, repaired_after_s=3.0,
)  # fmt: skip
COMPARED = dict.fromkeys((STORE, CACHE, GRAPH, copies_in("b")), 9)


def report(planted: list[Planted], **seen: Any) -> VigilReport:
    """Of two regions, in which nothing else was found; `seen` is what verification did in the second."""
    others = [VerificationStats(changes_checked=9, keys_compared=COMPARED) for _ in "ab"]
    others[1] = structs.replace(others[1], **seen)
    verification = dict(zip("ab", others, strict=True))
    return VigilReport(1.0, 9, 9.0, planted, [], True, {}, {}, {}, verification, {})


def test_kept() -> None:
    assert report([]).ok
    assert report([RIGHT, RIGHT]).ok


@pytest.mark.parametrize(
    "changed",
    [
        {"found_after_s": None, "found_as": ""},
        {"found_after_s": FOUND_WITHIN_S + 1},
        {"found_as": f"{CACHE}:{Kind.AHEAD}"},
        {"repair": Repair.LEFT},
    ],
    ids=["not found", "too late", "as something else", "not put right"],
)
def test_a_disagreement_that_was_missed(changed: dict[str, Any]) -> None:
    """One is enough."""
    assert not report([RIGHT, structs.replace(RIGHT, **changed)]).ok


def test_what_is_stuck_may_take_longer() -> None:
    """An older view is nothing before it has been stuck for its time."""
    assert report([structs.replace(RIGHT, limit_s=FOUND_WITHIN_S + 15, found_after_s=FOUND_WITHIN_S + 14)]).ok


@pytest.mark.parametrize(
    "seen",
    [{"changes_checked": 0}, *({"keys_compared": {**COMPARED, place: 0}} for place in COMPARED)],
    ids=["no changes", *COMPARED],
)
def test_whoever_does_not_look_finds_nothing(seen: dict[str, Any]) -> None:
    """That is no proof."""
    assert not report([], **seen).ok
