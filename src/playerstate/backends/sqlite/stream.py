"""The stream and the checkpoints, in SQLite."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from playerstate.backends.sqlite.database import Database, insert_many
from playerstate.errors import OutcomeUnknown, PlayerStateError
from playerstate.ports.stream import NewRecord, StreamRecord

_HEAD = "SELECT seq FROM sqlite_sequence WHERE name = 'records'"


class _Call:
    """One caller's records, waiting for the commit that takes them along."""

    def __init__(self, records: Sequence[NewRecord]) -> None:
        self.rows = [(record.body,) for record in records]  # here, so that bad input fails its own call only
        self.done = threading.Event()
        self.position = 0
        self.error: Exception | None = None


class SqliteStream:
    """A `Stream` with group commit: while one commit is flushed, the calls that come in are gathered for the next."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, "stream")
        self._waiting: list[_Call] = []
        self._waiting_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self.stream_id: str = self._database.read("SELECT stream_id FROM identity")[0][0]

    def append(self, records: Sequence[NewRecord]) -> int:
        """Append all of the records, or none, and return the position of the last."""
        call = _Call(records)
        with self._waiting_lock:
            self._waiting.append(call)
        with self._commit_lock:
            if not call.done.is_set():
                self._commit_waiting()
        if call.error is not None:
            raise call.error
        return call.position

    def _commit_waiting(self) -> None:
        with self._waiting_lock:
            calls, self._waiting = self._waiting, []
        try:
            with self._database.transaction() as connection:
                for call in calls:
                    insert_many(connection, "INSERT INTO records (body)", call.rows)
                    call.position = _number(connection.execute(_HEAD).fetchall())
        except PlayerStateError as exc:
            for call in calls:
                call.error = exc
        except BaseException as exc:  # an interrupt too: nobody may take it for a commit
            for call in calls:
                call.error = OutcomeUnknown(f"an append was interrupted: {exc!r}")
            raise
        finally:
            for call in calls:
                call.done.set()

    def read(self, after: int, limit: int) -> list[StreamRecord]:
        """The next records beyond a position."""
        sql = "SELECT position, body FROM records WHERE position > ? ORDER BY position LIMIT ?"
        return [StreamRecord(*row) for row in self._database.read_log(sql, (after, limit))]

    def head(self) -> int:
        """The position of the last record."""
        return _number(self._database.read(_HEAD))

    def trim(self, up_to: int) -> int:
        """Delete records up to a position."""
        return self._database.delete_up_to("records", up_to)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class SqliteCheckpoints:
    """`Checkpoints`, not flushed at every save: a machine's crash may set a consumer back, which it stands."""

    def __init__(self, path: Path, *, there_already: bool = False) -> None:
        self._database = Database(path, "checkpoints", durable=False, there_already=there_already)

    def load(self, consumer: str) -> int:
        """The position saved last."""
        return _number(self._database.read("SELECT position FROM checkpoints WHERE consumer = ?", (consumer,)))

    def save(self, consumer: str, position: int) -> None:
        """Save a position."""
        sql = (
            "INSERT INTO checkpoints (consumer, position) VALUES (?, ?) "
            "ON CONFLICT (consumer) DO UPDATE SET position = excluded.position"
        )
        with self._database.transaction() as connection:
            connection.execute(sql, (consumer, position))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _number(rows: Sequence[tuple[int]]) -> int:
    return rows[0][0] if rows else 0
