"""A progress bar on standard error, where a person may be looking."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

from playerstate.cli import console

Advance: TypeAlias = Callable[[int, int | None, int], None]
"""Told how far it has come, of how much if that is known, and how many updates, or of what unit, that were."""

Note: TypeAlias = Callable[[str], None]
"""Takes a line for standard error, which must not be written through the bar."""


@contextlib.contextmanager
def progress(what: str, *, as_json: bool, unit: str = "updates") -> Iterator[tuple[Advance, Note]]:
    """A bar while the work lasts; nothing where nobody watches a terminal, or where output is for programs."""
    if as_json or not sys.stderr.isatty():
        yield (lambda _done, _total, _updates: None), console.note
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[updates]:,} " + unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, updates=0)

        def advance(done: int, total: int | None, updates: int) -> None:
            bar.update(task, completed=done, total=total, updates=updates)

        def note(text: str) -> None:
            bar.console.print(console.printable(text), markup=False, highlight=False, soft_wrap=True)

        yield advance, note
