"""A copy of a SQLite file holds one moment of it, however much is written meanwhile."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from playerstate.backends.sqlite import snapshot as snapshot_module
from playerstate.backends.sqlite.snapshot import Snapshot
from playerstate.backends.sqlite.stream import SqliteStream
from playerstate.errors import InvariantViolated, Unavailable
from playerstate.ports.stream import NewRecord


def filled(path: Path, records: int) -> SqliteStream:
    stream = SqliteStream(path)
    stream.append([NewRecord("p", b"%d" % n + b"x" * 2_000) for n in range(records)])
    return stream


def records(path: Path) -> int:
    stream = SqliteStream(path)
    read = len(stream.read(0, 10_000))
    stream.close()
    return read


def test_writers_neither_wait_nor_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is appended between two steps of the copy is not in it, and the copy is not begun anew for it."""
    monkeypatch.setattr(snapshot_module, "PAGES_PER_STEP", 16)
    stream = filled(tmp_path / "stream.db", 200)
    told: list[int] = []

    def append(copied: int) -> None:
        told.append(copied)
        stream.append([NewRecord("p", b"later")])

    with Snapshot(tmp_path / "stream.db") as taken:
        stream.append([NewRecord("p", b"later")])
        taken.copy_to(tmp_path / "copy.db", copied=append)
    assert len(told) > 5
    assert sum(told) == taken.bytes == (tmp_path / "copy.db").stat().st_size
    assert stream.head() == 200 + 1 + len(told)
    assert records(tmp_path / "copy.db") == 200
    stream.close()


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Nor is anything written to the file that is copied."""
    with pytest.raises(Unavailable, match="unable to open"):
        Snapshot(tmp_path / "missing.db")
    assert list(tmp_path.iterdir()) == []
    filled(tmp_path / "a b?#.db", 3).close()
    before = (tmp_path / "a b?#.db").read_bytes()
    with Snapshot(tmp_path / "a b?#.db") as taken:
        taken.copy_to(tmp_path / "copy.db")
    assert (tmp_path / "a b?#.db").read_bytes() == before
    assert records(tmp_path / "copy.db") == 3


def test_a_damaged_file_is_told_while_there_may_be_an_older_copy(tmp_path: Path) -> None:
    """Pages are copied as they are, so the copy is looked through."""
    filled(tmp_path / "stream.db", 200).close()
    content = bytearray((tmp_path / "stream.db").read_bytes())
    content[40_960:45_056] = b"\xff" * 4_096
    (tmp_path / "stream.db").write_bytes(content)
    with Snapshot(tmp_path / "stream.db") as taken, pytest.raises(InvariantViolated, match=r"stream\.db"):
        taken.copy_to(tmp_path / "copy.db")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """As every driver's error is, in our words."""
    filled(tmp_path / "stream.db", 3).close()
    with Snapshot(tmp_path / "stream.db") as taken, pytest.raises(Unavailable):
        taken.copy_to(tmp_path / "nowhere" / "copy.db")
    with pytest.raises(sqlite3.ProgrammingError):
        taken._connection.execute("SELECT 1")
