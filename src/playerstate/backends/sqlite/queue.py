"""A consumer group's queue, in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from playerstate.backends.sqlite.database import Database
from playerstate.ports.clock import Clock
from playerstate.ports.queue import Message

_RECEIVE = (
    "UPDATE messages SET visible_at = ?, attempt = attempt + 1 "
    "WHERE id IN (SELECT id FROM messages WHERE visible_at <= ? LIMIT ?) RETURNING id, attempt, body"
)


class SqliteQueue:
    """A `Queue`. A receipt is the message's id and attempt, so that one from an earlier attempt deletes nothing."""

    def __init__(self, path: Path, clock: Clock, *, attempts_max: int = 5) -> None:
        self._database = Database(path, "queue")
        self._clock = clock
        self._attempts_max = attempts_max

    def send(self, bodies: Sequence[bytes]) -> None:
        """Put messages on the queue, all or none."""
        with self._database.transaction() as connection:
            connection.executemany("INSERT INTO messages (visible_at, body) VALUES (0, ?)", [(b,) for b in bodies])

    def receive(self, limit: int, *, visibility_s: float) -> list[Message]:
        """Up to `limit` visible messages."""
        now = self._clock.now_ms()
        if not self._database.read("SELECT 1 FROM messages WHERE visible_at <= ? LIMIT 1", (now,)):
            return []
        messages: list[Message] = []
        with self._database.transaction() as connection:
            while len(messages) < limit:
                parameters = (now + int(visibility_s * 1000), now, limit - len(messages))
                rows = connection.execute(_RECEIVE, parameters).fetchall()
                spent = [(id_, body) for id_, attempt, body in rows if attempt > self._attempts_max]
                messages += [
                    Message(f"{id_}.{attempt}", body, attempt)
                    for id_, attempt, body in rows
                    if attempt <= self._attempts_max
                ]
                if not spent:  # otherwise there may be others, whose places the spent ones took
                    break
                connection.executemany("INSERT INTO dead (body) VALUES (?)", [(body,) for _, body in spent])
                connection.executemany("DELETE FROM messages WHERE id = ?", [(id_,) for id_, _ in spent])
        return messages

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages that were received."""
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM messages WHERE id = ? AND attempt = ?", [receipt.split(".") for receipt in receipts]
            )

    def depth(self) -> int:
        """How many messages wait, visible or not."""
        return int(self._database.read("SELECT count(*) FROM messages")[0][0])

    def dead(self) -> list[bytes]:
        """The bodies of the messages that were received too often."""
        return [body for (body,) in self._database.read("SELECT body FROM dead ORDER BY id")]

    def forget_dead(self, count: int) -> None:
        """Delete the first of the messages that `dead` told of, once they are kept elsewhere."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM dead WHERE id IN (SELECT id FROM dead ORDER BY id LIMIT ?)", (count,))

    def release(self) -> None:
        """Make every message visible, as if this had been no attempt: whoever had received them is gone."""
        sql = "UPDATE messages SET visible_at = 0, attempt = max(attempt - 1, 0) WHERE visible_at > 0"
        with self._database.transaction() as connection:
            connection.execute(sql)

    def close(self) -> None:
        """Close the file."""
        self._database.close()
