"""One Ladybug database: a file, one connection, one query at a time."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import ladybug
import structlog

from playerstate.errors import FolderInUse, OutcomeUnknown, StartRefused, Unavailable

Row = list[Any]

ROOM_BYTES = 1_048_576
"""How much the disk must take before a database that could not write is closed and opened again."""

log = structlog.get_logger(__name__)


class Database:
    """A database in a folder, made if it is not there. A process opens a folder once.

    Calls from several threads wait for one another, and for another thread's transaction; other Python code runs
    meanwhile, since Ladybug lets go of the interpreter during a query. `buffer_pool_bytes` bounds the pages that are
    kept in memory (Ladybug's own default is 80 % of the machine's).

    A commit that failed, as on a full disk, leaves Ladybug in a state that cannot be trusted: later commits may wait
    for ever. So the database is opened anew, from what its files say, once the disk takes writes again: to close it
    before would end the process. Until then everything is `Unavailable`.
    """

    def __init__(self, folder: Path, *, buffer_pool_bytes: int) -> None:
        self._lock = threading.RLock()
        self._folder = folder
        self._buffer_pool_bytes = buffer_pool_bytes
        self._distrusted = False
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except RuntimeError as exc:
            if "Could not set lock" in str(exc):
                raise FolderInUse(f"Another process has the graph in {folder} open: {exc}") from exc
            raise StartRefused(f"The graph in {folder} cannot be opened: {exc}") from exc

    def run(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows that a query returns. Raises `Unavailable` if it fails."""
        with self._lock:
            try:
                if self._distrusted:
                    self._open_anew()
                result = self._connection.execute(query, dict(parameters or {}))
                with cast("ladybug.QueryResult", result) as rows:
                    return cast("list[Row]", rows.get_all())
            except RuntimeError as exc:
                raise Unavailable(f"The graph does not answer: {_words(exc)}") from exc

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
                self._distrusted = True
                raise OutcomeUnknown(f"A commit to the graph failed: {exc}") from exc

    def close(self) -> None:
        """Write everything to the file, and let go of it. May be called again.

        One that cannot be written is left as it is, for the process to take with it: nothing in it is needed.
        """
        with self._lock:
            if self._distrusted:
                try:
                    _check_room(self._folder)
                except Unavailable as exc:
                    log.warning("the graph is left open", error=str(exc))
                    return
            self._connection.close()
            self._database.close()

    def _open(self) -> None:
        self._database = ladybug.Database(
            self._folder / "graph.lbug",
            buffer_pool_size=self._buffer_pool_bytes,
            max_num_threads=1,  # its queries are look-ups; more threads cost more than they bring
            # A crash may leave a half-written transaction at the end of the log, which must not keep the node from
            # starting. What follows damage further up is lost too, until the next version of each key.
            throw_on_wal_replay_failure=False,
        )
        self._connection = ladybug.Connection(self._database)

    def _open_anew(self) -> None:
        _check_room(self._folder)
        self._connection.close()
        self._database.close()
        self._open()
        log.warning("the graph was opened anew after a commit that had failed")
        self._distrusted = False

    def _roll_back(self) -> None:
        # a query that failed has mostly ended the transaction already, and there is nothing left to roll back
        with contextlib.suppress(RuntimeError):
            self._connection.execute("ROLLBACK")


def _check_room(folder: Path) -> None:
    """Raise `Unavailable` unless the largest file of a folder could grow by `ROOM_BYTES`."""
    largest = max(entry.stat().st_size for entry in folder.iterdir())
    probe = folder / "probe"
    try:
        with probe.open("wb") as file:
            file.seek(largest)
            file.write(bytes(ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise Unavailable(f"The graph in {folder} could not write, and still cannot: {exc.strerror}") from exc
    finally:
        probe.unlink(missing_ok=True)


def _words(error: RuntimeError) -> str:
    """What the driver says, but for the vertex that it may name: errors are logged, and players are not."""
    return str(error).partition(" key value ")[0]
