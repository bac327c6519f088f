"""Moments as people name them, in milliseconds since 1970; and as they are told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_AGO = re.compile(r"(\d{1,9})(ms|s|m|h|d|w)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MS = re.compile(r"\d{10,15}")


def parse_moment(text: str, *, now_ms: int, end: bool = False) -> int:
    """A time: `2026-11-26T12:00`, local if it names no zone; milliseconds since 1970; `2h` for two hours ago. A day
    alone is its beginning, or, if an `end` is asked for, its last millisecond.

    Raises `typer.BadParameter`.
    """
    if (ago := _AGO.fullmatch(text)) is not None:
        return now_ms - int(ago[1]) * _UNITS_MS[ago[2]]
    if _MS.fullmatch(text):
        return int(text)
    try:
        if end and _DAY.fullmatch(text):
            return round((datetime.fromisoformat(text) + timedelta(days=1)).timestamp() * 1000) - 1
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as exc:
        raise typer.BadParameter(
            f"{text!r} is no time: give 2026-11-26T12:00:00, milliseconds since 1970, or 2h (ago; ms, s, m, h, d, w)"
        ) from exc


def local_time(ms: int) -> str:
    """A moment by the clock on the wall, to the millisecond: as `parse_moment` takes it."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone().isoformat(" ", "milliseconds")[:23]


def zoned_time(ms: int) -> str:
    """The same with its zone, for whoever copies it to somewhere else, or gives it later, in winter or in summer."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone().isoformat(" ", "milliseconds")


def duration(ms: int) -> str:
    """How long something took."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 120_000:
        return f"{ms / 1000:.1f} s"
    if ms < 7_200_000:
        return f"{ms / 60_000:.1f} min"
    if ms < 3 * _UNITS_MS["d"]:
        return f"{ms / 3_600_000:.1f} h"
    return f"{ms / _UNITS_MS['d']:.1f} d"
