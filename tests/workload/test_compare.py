"""The comparison finds each kind of disagreement, where it is, and nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from playerstate.core.model import Identity, Key
from playerstate.workload.compare import Expected, Finding, Found, Place, Seen, Trace, compare

GOLD, FRIENDS, GUILD = Key("ada", "gold"), Key("ada", "friends"), Key("ada", "guild")
EARNED, MET, SPENT = (
    Identity("server", 1, *GOLD),
    Identity("server", 1, *FRIENDS),
    Identity("server", 2, *GOLD),
)
BO = Key("bo", "friends")


def expected() -> Expected:
    return Expected(
        values={GOLD: 5, FRIENDS: ["bo"], BO: ["ada"], GUILD: "owls"},
        edges={FRIENDS: ["bo"], BO: ["ada"], GUILD: ["owls"]},
        outcomes={"applied": 3, "refused:insufficient": 1},
        traces={
            Trace(EARNED, GOLD): "applied",
            Trace(SPENT, GOLD): "refused:insufficient",
            Trace(MET, FRIENDS): "applied",
            Trace(MET, BO): "applied",
        },
        repeats=2,
        retried=1,
    )


def found() -> Found:
    views = {GOLD: Seen("local:2", 5), FRIENDS: Seen("local:1", ["bo"]), BO: Seen("local:1", ["ada"])}
    views[GUILD] = Seen("local:1", "owls")
    return Found(
        store=dict(views),
        cache=dict(views),
        edges={FRIENDS: ["bo"], BO: ["ada"], GUILD: ["owls"]},
        outcomes={"applied": 3, "refused:insufficient": 1, "duplicate": 1, "expired": 1},
        traces={trace: [outcome] for trace, outcome in expected().traces.items()},
    )


def test_no_disagreement_no_finding() -> None:
    """What is as it must be agrees, and it is said how much was looked at."""
    comparison = compare(expected(), found())
    assert comparison.agrees
    assert comparison.findings == []
    assert {place: tally.compared for place, tally in comparison.places.items()} == {
        "store": 4,
        "cache": 4,
        "graph": 3,
        "history": 4,
        "outcomes": 6,
    }


PLANTED: dict[str, tuple[Callable[[Found], object], Place, str]] = {
    "a row is lost": (lambda f: f.store.pop(GOLD), "store", "missing"),
    "a row has another value": (lambda f: f.store.update({GOLD: Seen("local:2", 6)}), "store", "different"),
    "a row that nobody sent": (lambda f: f.store.update({Key("cy", "gold"): Seen("local:1", 1)}), "store", "different"),
    "a number became a text": (lambda f: f.store.update({GOLD: Seen("local:2", "5")}), "store", "different"),
    "a cache field is lost": (lambda f: f.cache.pop(GUILD), "cache", "missing"),
    "a cached value is old": (lambda f: f.cache.update({GOLD: Seen("local:2", 4)}), "cache", "different"),
    "a cached version is old": (lambda f: f.cache.update({GOLD: Seen("local:1", 5)}), "cache", "different"),
    "a cached key that nobody sent": (
        lambda f: f.cache.update({Key("cy", "gold"): Seen("local:1", 1)}),
        "cache",
        "different",
    ),
    "an edge is lost": (lambda f: f.edges[FRIENDS].clear(), "graph", "missing"),
    "all edges of a key are lost": (lambda f: f.edges.pop(GUILD), "graph", "missing"),
    "an edge is there twice": (lambda f: f.edges[FRIENDS].append("bo"), "graph", "doubled"),
    "an edge to somebody else": (lambda f: f.edges[FRIENDS].append("cy"), "graph", "different"),
    "an update is not in the history": (lambda f: f.traces.pop(Trace(EARNED, GOLD)), "history", "missing"),
    "half of an update is not in the history": (lambda f: f.traces.pop(Trace(MET, BO)), "history", "missing"),
    "an update took effect twice": (
        lambda f: f.traces[Trace(EARNED, GOLD)].append("applied"),
        "history",
        "doubled",
    ),
    "a refused update was applied": (
        lambda f: f.traces.update({Trace(SPENT, GOLD): ["applied"]}),
        "history",
        "different",
    ),
    "an update that nobody sent": (
        lambda f: f.traces.update({Trace(Identity("x", 1, *GOLD), GOLD): ["applied"]}),
        "history",
        "different",
    ),
    "an outcome too few": (lambda f: f.outcomes.update(applied=2), "outcomes", "missing"),
    "an outcome too many": (lambda f: f.outcomes.update(applied=4), "outcomes", "doubled"),
    "an outcome that must not be": (lambda f: f.outcomes.update(dead=1), "outcomes", "different"),
    "repeats without an answer": (lambda f: f.outcomes.update(duplicate=0), "outcomes", "missing"),
    "more repeats than were sent": (lambda f: f.outcomes.update(duplicate=3), "outcomes", "doubled"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_disagreement_is_found(name: str) -> None:
    """One disagreement, one finding, named and counted where it is, and nowhere else."""
    plant, place, kind = PLANTED[name]
    tampered = found()
    plant(tampered)
    comparison = compare(expected(), tampered)
    assert not comparison.agrees
    assert [(finding.place, finding.kind) for finding in comparison.findings] == [(place, kind)]
    for other, tally in comparison.places.items():
        findings = [finding for finding in comparison.findings if finding.place == other]
        assert tally.missing + tally.doubled + tally.different == len(findings)


def test_retries_may_be_duplicates_or_not() -> None:
    """A call that failed may have been accepted all the same; both counts are right."""
    retried = found()
    retried.outcomes["duplicate"] += 1
    assert compare(expected(), retried).agrees


def test_findings_are_bounded_and_counted() -> None:
    """A disaster is told in a bounded number of words, and in full in numbers."""
    keys = [Key(f"p{n}", "gold") for n in range(1000)]
    everything = Expected(dict.fromkeys(keys, 1), {}, {}, {})
    comparison = compare(everything, Found({}, {}, {}, {}, {}))
    assert comparison.places["store"].missing == comparison.places["cache"].missing == 1000
    assert len(comparison.findings) == 100


def test_a_finding_says_where_and_what() -> None:
    """It can be read without the code."""
    finding = Finding("cache", "different", "ada/gold", "5", "4")
    assert str(finding) == "cache: ada/gold is different: expected 5, found 4"
