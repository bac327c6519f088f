"""What a file holds at one moment, while others go on writing it.

SQLite's online backup copies a file in steps, and begins anew whenever somebody else has written in between: on a busy
file it would never end. A read transaction that is open the whole time spares it that. It does not hold up writers; but
until it ends, what they write stays in the write-ahead log.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from playerstate.backends.sqlite.database import BUSY_TIMEOUT_S, translated
from playerstate.errors import InvariantViolated

PAGES_PER_STEP = 1_024

Copied = Callable[[int], None]
"""Told of each step how many bytes it has copied."""


class Snapshot:
    """A file as it is when this is made, until `close`. Raises `Unavailable` if the file is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with translated(path), contextlib.ExitStack() as opened:
            uri = f"{path.absolute().as_uri()}?mode=rw"  # so that no file is made where none is
            self._connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            opened.callback(self._connection.close)
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # here the moment is
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (page_bytes,) = self._connection.execute("PRAGMA page_size").fetchone()
            opened.pop_all()
        self._page_bytes: int = page_bytes
        self.bytes: int = pages * page_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def copy_to(self, target: Path, *, copied: Copied = lambda _: None) -> None:
        """Write a copy to a new file, and look through it. The copy is not flushed to the disk.

        Raises `Unavailable` if it cannot be written, `InvariantViolated` if the file is damaged.
        """
        left = self.bytes // self._page_bytes

        def tell(_: int, remaining: int, __: int) -> None:
            nonlocal left
            copied((left - remaining) * self._page_bytes)
            left = remaining

        with translated(target), contextlib.closing(sqlite3.connect(target, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")  # a copy that is not finished is of no use anyway
            connection.execute("PRAGMA synchronous = OFF")
            self._connection.backup(connection, pages=PAGES_PER_STEP, progress=tell)
        with translated(target), contextlib.closing(sqlite3.connect(target, isolation_level=None)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise InvariantViolated(f"{self._path.name} is damaged: {found}")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
