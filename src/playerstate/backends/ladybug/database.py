"""One Ladybug database: a file, one connection, one query at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import ladybug

from playerstate.errors import FolderInUse, OutcomeUnknown, StartRefused, Unavailable

Row = list[Any]


class Database:
    """A database in a folder, made if it is not there. A process opens a folder once.

    Calls from several threads wait for one another, and for another thread's transaction; other Python code runs
    meanwhile, since Ladybug lets go of the interpreter during a query. `buffer_pool_bytes` bounds the pages that are
    kept in memory (Ladybug's own default is 80 % of the machine's).
    """

    def __init__(self, folder: Path, *, buffer_pool_bytes: int) -> None:
        self._lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._database = ladybug.Database(
                folder / "graph.lbug",
                buffer_pool_size=buffer_pool_bytes,
                max_num_threads=1,  # its queries are look-ups; more threads cost more than they bring
                # A crash may leave a half-written transaction at the end of the log, which must not keep the node from
                # starting. What follows damage further up is lost too, until the next version of each key.
                throw_on_wal_replay_failure=False,
            )
            self._connection = ladybug.Connection(self._database)
        except RuntimeError as exc:
            if "Could not set lock" in str(exc):
                raise FolderInUse(f"Another process has the graph in {folder} open: {exc}") from exc
            raise StartRefused(f"The graph in {folder} cannot be opened: {exc}") from exc

    def run(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows that a query returns. Raises `Unavailable` if it fails."""
        with self._lock:
            try:
                result = self._connection.execute(query, dict(parameters or {}))
                with cast("ladybug.QueryResult", result) as rows:
                    return cast("list[Row]", rows.get_all())
            except RuntimeError as exc:
                raise Unavailable(f"The graph does not answer: {exc}") from exc

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """What this thread runs inside takes place together, at the end, or not at all if something is raised.

        Raises `OutcomeUnknown` if it cannot be told whether it took place.
        """
        with self._lock:
            self.run("BEGIN TRANSACTION")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            try:
                self.run("COMMIT")
            except Unavailable as exc:
                self._roll_back()
                raise OutcomeUnknown(f"A commit to the graph failed: {exc}") from exc

    def close(self) -> None:
        """Write everything to the file, and let go of it. May be called again."""
        with self._lock:
            self._connection.close()
            self._database.close()

    def _roll_back(self) -> None:
        # a query that failed has mostly ended the transaction already, and there is nothing left to roll back
        with contextlib.suppress(RuntimeError):
            self._connection.execute("ROLLBACK")
