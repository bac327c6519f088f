"""Where a command's words go: results to standard output, everything else to standard error.

What players and game servers chose (names, values) is shown as text, never as markup, and without characters that
would steer a terminal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from playerstate.errors import InvalidUpdate, PlayerStateError, SlowDown

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 160


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()


def document(data: Any) -> None:
    """A JSON document on a line of standard output: structs, raw JSON and plain data."""
    import msgspec

    _write_bytes(sys.stdout, msgspec.json.encode(data))


def error_document(data: Any) -> None:
    """A JSON document on a line of standard error."""
    import msgspec

    _write_bytes(sys.stderr, msgspec.json.encode(data))


def report(error: PlayerStateError, *, as_json: bool) -> None:
    """Say on standard error what went wrong."""
    if as_json:
        error_document({"error": explain(error)})
    elif isinstance(error, InvalidUpdate):
        note(f"rejected ({error.code}): {error}")
    else:
        note(f"playerstate: {error}")


def explain(error: PlayerStateError) -> dict[str, Any]:
    """An error as data: a stable `code`, the `message`, and where it is or when to try again if that is known."""
    if isinstance(error, InvalidUpdate):
        return {"code": error.code, "message": str(error), "where": error.where}
    code = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(error).__name__).lstrip("_")
    told: dict[str, Any] = {"code": code, "message": str(error)}
    if isinstance(error, SlowDown):
        told["retry_after_s"] = error.retry_after_s
    return told


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """A table on standard output. Long cells are folded, so that nothing is lost."""
    show(made_table(columns, rows, title=title))


def show(*shown: RenderableType) -> None:
    """Whatever rich can show, on standard output."""
    _console().print(*shown)


def made_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> Table:
    """A table to be shown, by itself or beside others."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(printable(title)) if title else None, title_justify="left", header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in row))
    return shown


def heading(text: str) -> None:
    """A heading across the terminal."""
    from rich.text import Text

    console = _console()
    console.print()
    console.rule(Text(printable(text), style="bold"), align="left")


def counts(title: str, numbers: Mapping[str, int]) -> None:
    """A small table of numbers, the largest first."""
    rows = [(name, f"{n:,}") for name, n in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))]
    table([title, "count"], rows)


def printable(text: str) -> str:
    """The text with what is not printable written as an escape: a terminal must not obey a player's name."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def shortened(text: str, length_max: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= length_max else f"{text[: length_max - 1]}…"


def _console() -> Console:
    from rich.console import Console

    fixed = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if fixed else WIDTH_WITHOUT_TERMINAL)


def _write_bytes(stream: Any, data: bytes) -> None:
    stream.flush()
    stream.buffer.write(data + b"\n")
    stream.buffer.flush()
