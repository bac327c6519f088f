"""A consumer group's queue, in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from playerstate.backends.sqlite.database import Database
from playerstate.ports.clock import Clock
from playerstate.ports.queue import Message

_VISIBLE = "(visible_at <= :now OR visible_at > :never)"
"""A message hidden for longer than one can be was hidden before the clock was set back."""
HIDDEN_MAX_MS = 12 * 3600 * 1000
_SINCE_EVER = -(2**40)
"""When a message is visible that nobody has received. It takes as many bytes as the time of today does: a row that
keeps its size is changed in place, and else SQLite would write the whole body again."""

_RECEIVE = (
    "UPDATE messages SET visible_at = :hidden_until, attempt = attempt + 1 "
    f"WHERE id IN (SELECT id FROM messages WHERE {_VISIBLE} LIMIT :limit) RETURNING id, attempt, body"
)


class SqliteQueue:
    """A `Queue`. A receipt is the message's id and attempt, so that one from an earlier attempt deletes nothing."""

    def __init__(self, path: Path, clock: Clock, *, attempts_max: int = 5) -> None:
        self._database = Database(path, "queue")
        self._clock = clock
        self._attempts_max = attempts_max

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        """Put messages on the queue, all or none."""
        visible_at = self._clock.now_ms() + int(delay_s * 1000) if delay_s else _SINCE_EVER
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO messages (visible_at, body) VALUES (?, ?)", [(visible_at, body) for body in bodies]
            )

    def receive(self, limit: int, *, visibility_s: float) -> list[Message]:
        """Up to `limit` visible messages."""
        now = self._clock.now_ms()
        times = {"now": now, "hidden_until": now + int(visibility_s * 1000), "never": now + HIDDEN_MAX_MS}
        if not self._database.read(f"SELECT 1 FROM messages WHERE {_VISIBLE} LIMIT 1", times):
            return []
        messages: list[Message] = []
        with self._database.transaction() as connection:
            while len(messages) < limit:
                rows = connection.execute(_RECEIVE, {**times, "limit": limit - len(messages)}).fetchall()
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
                "DELETE FROM messages WHERE id = ? AND attempt = ?",
                [receipt.partition(".")[::2] for receipt in receipts],
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
        """Make every message visible: whoever had received them is gone."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE messages SET visible_at = ? WHERE visible_at > 0", (_SINCE_EVER,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()
