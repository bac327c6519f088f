"""The audit log's deliveries, in its SQLite file: what came again or too late, and did nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

import msgspec

from playerstate.backends.sqlite.database import Database
from playerstate.core.model import Delivery, Key
from playerstate.ports.audit import DELIVERIES_PER_UPDATE_MAX

_decode = msgspec.msgpack.Decoder(Delivery).decode

_INSERT = """
    INSERT INTO deliveries (player_id, state_key, producer, sequence, region, position, place, judged_at, epoch, body)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
    WHERE (
        SELECT count(*) FROM deliveries WHERE (player_id, state_key, producer, sequence) = (?1, ?2, ?3, ?4)
    ) < ?11
    ON CONFLICT DO NOTHING
"""


def insert(connection: sqlite3.Connection, deliveries: Iterable[Delivery], erased: Mapping[Key, int]) -> None:
    """Record them, but for those of an epoch below that of `erased`."""
    rows = [
        (
            d.player_id,
            d.state_key,
            d.producer,
            d.sequence,
            d.region,
            d.position,
            d.index,
            d.judged_at,
            d.epoch,
            msgspec.msgpack.encode(d),
            DELIVERIES_PER_UPDATE_MAX,
        )
        for d in deliveries
        if d.epoch >= erased.get(Key(d.player_id, d.state_key), 0)
    ]
    connection.executemany(_INSERT, rows)


def select(
    database: Database, player_id: str, state_key: str | None, since: int, before: int, limit: int
) -> list[Delivery]:
    """The latest first, and all of the last one's millisecond."""
    where, parameters = "player_id = ?", [player_id]
    if state_key is not None:
        where += " AND state_key = ?"
        parameters.append(state_key)
    sql = (
        f"SELECT body, judged_at FROM deliveries WHERE {where} AND judged_at < ? AND judged_at >= ?"
        " ORDER BY judged_at DESC, position DESC, place DESC"
    )
    rows = database.read(f"{sql} LIMIT ?", (*parameters, before, since, limit))
    if len(rows) >= limit:
        rows = database.read(sql, (*parameters, before, rows[-1][1]))
    return [_decode(body) for body, _ in rows]


def trim(database: Database, before: int, limit: int) -> None:
    """Delete those of the first `limit` that were judged before a time. Where there are none nothing is written to."""
    first = "SELECT rowid FROM deliveries ORDER BY rowid LIMIT ?"
    old = f"FROM deliveries WHERE rowid IN ({first}) AND judged_at < ?"
    if database.read(f"SELECT 1 {old} LIMIT 1", (limit, before)):
        with database.transaction() as connection:
            connection.execute(f"DELETE {old}", (limit, before))
