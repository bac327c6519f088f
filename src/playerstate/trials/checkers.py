"""What must hold after every round: pure functions of its facts, each of which says what is wrong.

Most are the simulator's, for promises do not depend on what they are kept with. Those of this file look at what only
clients of the real thing hold: answers, outcomes, letters. What each does not look at is said with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from playerstate.core.model import Identity, Key, Reason, Status, Update
from playerstate.core.version_vector import parse_vector
from playerstate.simulation import checkers as simulated
from playerstate.simulation.history import Committed
from playerstate.trials.facts import Facts

Checker: TypeAlias = Callable[[Facts], Iterator[str]]

APPLIED = str(Status.APPLIED)
FORESEEN = {APPLIED, f"{Status.REFUSED}:{Reason.INSUFFICIENT}", f"{Status.REFUSED}:{Reason.RIGHTS_ELSEWHERE}"}
"""What the traffic of the trials may be answered with."""


def answered(facts: Facts) -> Iterator[str]:
    """Promises 1 and 2: every acknowledged update has an outcome, the same in every region, and the one on record.

    Says nothing of updates that were never acknowledged.
    """
    recorded = {_identity_of(c): _told(c) for c in facts.history.processed() if c.cause.of is None}
    for sent in facts.history.sent:
        identity = sent.update.identity
        told = {region: outcomes.get(identity, "") for region, outcomes in facts.outcomes.items()}
        answers = set(told.values())
        if len(answers) != 1 or not answers <= FORESEEN:
            yield f"{identity}, acknowledged in {sent.region}, is answered {told}"
        elif recorded.get(identity) not in answers:
            yield f"{identity} is answered {answers.pop()}, and recorded as {recorded.get(identity)}"


def explained(facts: Facts) -> Iterator[str]:
    """Promise 9: the audits together name every step of every row once, by an update that was sent.

    Says nothing of the values before and after.
    """
    steps = Counter((c.region, c.key, c.cause.n) for c in facts.history.committed)
    expected: set[tuple[str, Key, int]] = set()
    for finals in facts.history.finals.values():
        for key, final in finals.items():
            for version in final.versions.values():
                for region, last in parse_vector(version).items():
                    expected |= {(region, key, n) for n in range(1, last + 1)}
    for place in sorted(steps.keys() | expected):
        if steps[place] != (place in expected):
            yield f"step {place} was taken {int(place in expected)} times and is recorded {steps[place]} times"
    sent = {sent.update.identity for sent in facts.history.sent}
    for identity, times in Counter((_identity_of(c), c.key) for c in facts.history.processed()).items():
        if times > 1:
            yield f"{identity} is recorded {times} times"
        if identity[0] not in sent:
            yield f"{identity} is recorded, and nobody sent it"


def members(facts: Facts) -> Iterator[str]:
    """Promise 3, for sets: what the one owner of each element did last. Says nothing of elements of several owners."""
    wanted: defaultdict[Key, dict[str, bool]] = defaultdict(dict)
    for update in _applied(facts):
        for op in update.ops:
            if isinstance(op.elements, list):
                wanted[op.key] |= dict.fromkeys(op.elements, op.op == "add")
    expected = {key: sorted(element for element, there in told.items() if there) for key, told in wanted.items()}
    yield from _differing(facts, expected)


def last_writes(facts: Facts) -> Iterator[str]:
    """Promise 3, for registers: what the one writer of each wrote last. Says nothing of those with several writers."""
    expected = {op.key: op.value for update in _applied(facts) for op in update.ops if op.state_key == "name"}
    yield from _differing(facts, expected)


def largest(facts: Facts) -> Iterator[str]:
    """Promise 3, for max registers: the largest number that was set. Says nothing of other registers."""
    expected: dict[Key, Any] = {}
    for update in _applied(facts):
        for op in update.ops:
            if op.state_key == "rank":
                value: Any = op.value
                expected[op.key] = max(value, expected.get(op.key, value))
    yield from _differing(facts, expected)


def nothing_put_aside(facts: Facts) -> Iterator[str]:
    """Promise 10, the other way round: what is right is never put among the dead letters."""
    for region, letters in facts.dead_letters.items():
        for letter in letters:
            yield f"{region} has a dead letter: {letter}"


def no_trouble(facts: Facts) -> Iterator[str]:
    """Nothing was rejected, failed in a way that nobody foresaw, ended by itself, or could not be brought to an end."""
    yield from facts.trouble


CHECKERS: tuple[Checker, ...] = (
    answered,
    explained,
    members,
    last_writes,
    largest,
    nothing_put_aside,
    no_trouble,
)

SIMULATED: tuple[simulated.Checker, ...] = (
    simulated.nothing_acknowledged_is_lost,
    simulated.once,
    simulated.whole,
    simulated.in_order,
    simulated.sums,
    simulated.never_overspent,
    simulated.never_backwards,
    simulated.converged,
    simulated.at_rest,
    simulated.cache_in_step,
    simulated.resolved,
    simulated.graph_in_step,
)
"""Those of the simulator that need nothing but what can be seen from outside. `explained` here asks for more."""


def violations(facts: Facts) -> list[str]:
    """Everything that is wrong after a round, each with the check that says so."""
    found = [f"{check.__name__}: {what}" for check in CHECKERS for what in check(facts)]
    return found + [f"{check.__name__}: {what}" for check in SIMULATED for what in check(facts.history)]


def _applied(facts: Facts) -> Iterator[Update]:
    """The updates that their own region answers as applied, each client's in its order."""
    for sent in facts.history.sent:
        if facts.outcomes[sent.region].get(sent.update.identity) == APPLIED:
            yield sent.update


def _differing(facts: Facts, expected: dict[Key, Any]) -> Iterator[str]:
    for region, finals in facts.history.finals.items():
        for key, value in expected.items():
            shown = finals[key].view if key in finals else None
            if shown != value:
                yield f"{key} in {region} is {shown}, but what was applied comes to {value}"


def _identity_of(committed: Committed) -> Identity:
    producer, sequence, first = committed.identity
    return Identity(producer, sequence, *first)


def _told(committed: Committed) -> str:
    cause = committed.cause
    return f"{cause.status}:{cause.reason}" if cause.reason else str(cause.status)
