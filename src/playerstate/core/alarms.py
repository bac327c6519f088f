"""Alarms: what fires, and when it ends.

A measure that reaches its rule's threshold fires the alarm if it stays there for `for_s`. An alarm ends when the
measure has been on the other side of where it *clears* for `clear_s`. So nothing that flickers fires or ends. At 0 a
threshold switches its alarm off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from playerstate.core.answers import Alarm, Severity
from playerstate.core.looks import Seen
from playerstate.core.rules import RULES, Rule


class _Standing(NamedTuple):
    """How it stands with one rule and subject: since when it is reached or clear, and the alarm if it fires."""

    since_s: float
    alarm: Alarm | None = None
    clear_since_s: float | None = None


class Judge:
    """Judges what is seen, look by look. It remembers what fires, and what is about to."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, str], _Standing] = {}

    def judge(self, seen: Seen, thresholds: Mapping[str, float], *, at_ms: int) -> list[Alarm]:
        """The alarms that fire now, the critical ones first; `at_ms` is the time of day."""
        standing: dict[tuple[str, str], _Standing] = {}
        for rule in RULES:
            threshold = thresholds[rule.setting]
            if not threshold:
                continue
            for subject, value in rule.measure(seen).items():
                before = self._standing.get((rule.name, subject))
                after = _judged(rule, subject, value, threshold, before, seen.at_s, at_ms)
                if after is not None:
                    standing[rule.name, subject] = after
        self._standing = standing
        alarms = [one.alarm for one in standing.values() if one.alarm]
        return sorted(alarms, key=lambda alarm: alarm.severity is not Severity.CRITICAL)


def _judged(
    rule: Rule, subject: str, value: float, threshold: float, before: _Standing | None, at_s: float, at_ms: int
) -> _Standing | None:
    if before is None or before.alarm is None:
        if not rule.reached(value, threshold):
            return None
        since_s = before.since_s if before else at_s
        if at_s - since_s < rule.for_s:
            return _Standing(since_s)
        return _Standing(since_s, _alarm(rule, subject, value, threshold, at_ms))
    clear_since_s = None
    if rule.clear(value, threshold):
        clear_since_s = at_s if before.clear_since_s is None else before.clear_since_s
        if at_s - clear_since_s >= rule.clear_s:
            return None
    return _Standing(before.since_s, _alarm(rule, subject, value, threshold, before.alarm.since), clear_since_s)


def _alarm(rule: Rule, subject: str, value: float, threshold: float, since: int) -> Alarm:
    message = rule.says.format(subject=subject, value=_shown(value))
    return Alarm(rule.name, rule.severity, since, value, threshold, message, rule.remedy, subject)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.3g}"
