"""How long ago something was, as people write and read it: `90s`, `15m`, `36h`, `14d`."""

from __future__ import annotations

import re

import click

UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
WORDS = {"s": "s", "m": "min", "h": "h", "d": "days"}
AGE = re.compile(r"(\d{1,6})([smhd])")


def parse_age(text: str) -> int:
    """An age in milliseconds. Raises `click.UsageError` for anything else."""
    match = AGE.fullmatch(text)
    if match is None:
        raise click.UsageError(f"{text!r} is no age; write 90s, 15m, 36h or 14d")
    return int(match[1]) * UNITS_MS[match[2]]


def age_text(ms: int) -> str:
    """An age in the largest unit of which there are two or more."""
    unit = next((name for name in "dhm" if ms >= 2 * UNITS_MS[name]), "s")
    return f"{max(ms, 0) // UNITS_MS[unit]} {WORDS[unit]}"
