"""One SQLite file: one writer at a time, any number of readers, durable at commit."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from playerstate.errors import InvariantViolated, OutcomeUnknown, StartRefused, Unavailable

FORMAT_VERSION = 3
"""What `PRAGMA user_version` says of the files written here; raised when other programs must not read them."""

BUSY_TIMEOUT_S = 10.0
DELETE_AT_ONCE_MAX = 1_000
ROWS_PER_STATEMENT = 100
READ_BYTES_MAX = 16 * 1024 * 1024


class Database:
    """A file with a schema of its own, `sql/<name>.sql`.

    Commits are flushed to the disk before they return, unless `durable` is False: then a crash of the machine (not of
    the process) may lose the latest ones. Reads see every commit that returned before them. A file that must be
    `there_already` is another node's: it is neither made nor changed by opening it.
    """

    def __init__(self, path: Path, name: str, *, durable: bool = True, there_already: bool = False) -> None:
        self._path = path
        self._durable = durable
        self._write_lock = threading.Lock()
        self._idle_readers: list[sqlite3.Connection] = []  # appending and popping are atomic
        self._all: list[sqlite3.Connection] = []
        self._closed = False
        if there_already and not path.is_file():
            raise Unavailable(f"there is no {path}")
        with translated(path):
            self._writer = self._connect()
            _check_format(self._writer, path)
            if there_already:
                return
            self._writer.execute("PRAGMA journal_mode = WAL")
            script = files("playerstate.backends.sqlite").joinpath("sql", f"{name}.sql").read_text("utf-8")
            self._writer.executescript(script)
            self._writer.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed at the end, rolled back on any error.

        Raises `Unavailable` if nothing was written, `OutcomeUnknown` if that cannot be told.
        """
        with self._write_lock, translated(self._path):
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._commit()

    def read(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """The rows of a query."""
        with self.reading() as connection:
            return connection.execute(sql, parameters).fetchall()

    def read_log(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """The rows of a query whose columns after the first are texts and blobs, up to a bound on their size."""
        rows, size = [], 0
        with self.reading() as connection, contextlib.closing(connection.execute(sql, parameters)) as cursor:
            for row in cursor:
                rows.append(row)
                size += sum([len(column) for column in row[1:] if column])
                if size > READ_BYTES_MAX:
                    break
        return rows

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, which nobody else uses meanwhile."""
        with translated(self._path):
            try:
                connection = self._idle_readers.pop()
            except IndexError:
                connection = self._connect()
                connection.execute("PRAGMA query_only = ON")
            try:
                yield connection
            finally:
                self._idle_readers.append(connection)

    def delete_up_to(self, table: str, position: int) -> int:
        """Delete a log's rows up to a position, some at a time, so that writers need not wait for all of it."""
        sql = f"DELETE FROM {table} WHERE position <= (SELECT min(position) + ? FROM {table}) AND position <= ?"
        deleted = 0
        while True:
            with self.transaction() as connection:
                some = connection.execute(sql, (DELETE_AT_ONCE_MAX, position)).rowcount
            deleted += some
            if not some:
                return deleted

    def close(self) -> None:
        """Close every connection. Nothing may be in use."""
        self._closed = True
        for connection in self._all:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise Unavailable(f"{self._path.name} is closed")
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA wal_autocheckpoint = 3000")
        self._all.append(connection)
        return connection

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as exc:
            if not self._writer.in_transaction:
                raise OutcomeUnknown(f"a commit to {self._path.name} failed: {exc}") from exc
            self._writer.execute("ROLLBACK")
            raise


def insert_many(
    connection: sqlite3.Connection, insert: str, rows: Sequence[tuple[Any, ...]], *, suffix: str = ""
) -> None:
    """Insert rows, many a statement: it is cheaper, and threads hand the interpreter to and fro less often."""
    whole = len(rows) - len(rows) % ROWS_PER_STATEMENT
    if whole:
        one = f"({', '.join('?' * len(rows[0]))})"
        statement = f"{insert} VALUES {', '.join([one] * ROWS_PER_STATEMENT)} {suffix}"
        for start in range(0, whole, ROWS_PER_STATEMENT):
            connection.execute(statement, [value for row in rows[start : start + ROWS_PER_STATEMENT] for value in row])
    if whole < len(rows):
        single = f"{insert} VALUES ({', '.join('?' * len(rows[0]))}) {suffix}"
        connection.executemany(single, rows[whole:])


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: a damaged file is a broken promise, anything else may be tried again."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.ProgrammingError) as exc:
        raise Unavailable(f"{path.name}: {exc}") from exc
    except sqlite3.DatabaseError as exc:
        raise InvariantViolated(f"{path.name}: {exc}") from exc


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT_VERSION:
        raise StartRefused(
            f"{path} was written by a newer version of playerstate (its format is {version}, this one knows up to "
            f"{FORMAT_VERSION}); use that version, or a copy of the folder from before"
        )
    if 0 < version < FORMAT_VERSION:
        raise StartRefused(
            f"{path} was written by an older version of playerstate (its format is {version}, this one's is "
            f"{FORMAT_VERSION}), and there is no way from the one to the other"
        )
