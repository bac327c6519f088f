"""The table of alarms says what the code does."""

from __future__ import annotations

import msgspec

from docs.markdown import read, section, table_rows
from playerstate.core.rules import RULES, Rule
from playerstate.settings import Alarms


def number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def fires_at(rule: Rule) -> str:
    """The threshold as the table has it."""
    default = getattr(Alarms(), rule.setting)
    lasting = f", for {rule.for_s:.0f} s" if rule.for_s else ""
    return f"`{rule.setting}` = {number(default)}{' or less' if rule.below else ''}{lasting}"


def test_every_alarm_is_told_of() -> None:
    """Its name, how much it matters, its message, its default threshold and what to do are those of the code."""
    assert table_rows(section(read("docs/operations.md"), "Alarms")) == [
        [
            f"`{rule.name}`",
            rule.severity.value,
            rule.says.format(subject="X", value="N"),
            fires_at(rule),
            rule.remedy,
        ]
        for rule in RULES
    ]


def test_no_alarm_is_switched_off_unless_somebody_does_it() -> None:
    """Every threshold has a default at which its alarm can fire."""
    assert all(value > 0 for value in msgspec.structs.asdict(Alarms()).values())
