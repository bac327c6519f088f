"""SQLite files on a disk that fills up: nothing half-written, nothing acknowledged lost, then on it goes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from playerstate.backends.sqlite.database import FORMAT_VERSION, Database
from playerstate.backends.sqlite.stream import SqliteStream
from playerstate.errors import InvariantViolated, StartRefused, Unavailable
from playerstate.ports.stream import NewRecord

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from playerstate.backends.sqlite.stream import SqliteStream
from playerstate.errors import OutcomeUnknown, Unavailable
from playerstate.ports.stream import NewRecord

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
stream = SqliteStream(Path(sys.argv[1]))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
acknowledged, unknown, refused = [], [], 0
for number in range(60):
    record = NewRecord("p", b"%d:" % number + b"x" * 10_000)
    try:
        stream.append([record, record])
    except Unavailable:
        refused += 1
    except OutcomeUnknown:
        unknown.append(number)
    else:
        acknowledged.append(number)
    if number == 50:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert acknowledged[-1] == 59, acknowledged
read = [int(record.body.partition(b":")[0]) for record in stream.read(0, 1000)]
assert set(acknowledged) <= set(read) <= {*acknowledged, *unknown}, read
assert read == [number for number in sorted(set(read)) for _ in range(2)], read
print(refused + len(unknown), len(acknowledged))
"""


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    """Promise 1: an append on a full disk takes all or nothing, and says so where it cannot tell which; what was
    acknowledged before and after is there."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "stream.db")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    refused, acknowledged = map(int, result.stdout.split())
    assert refused > 5
    assert acknowledged > 5


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[SqliteStream]:
    """A stream in a file of its own."""
    stream = SqliteStream(tmp_path / "stream.db")
    yield stream
    stream.close()


def test_calls_at_the_same_time_share_a_commit(stream: SqliteStream) -> None:
    """Group commit keeps every call whole and in its caller's order, and wakes every caller."""
    callers, calls = 8, 25

    def call(caller: int) -> None:
        for number in range(calls):
            stream.append([NewRecord("p", b"%d %d %d" % (caller, number, part)) for part in range(3)])

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    read = [tuple(map(int, record.body.split())) for record in stream.read(0, 10_000)]
    assert len(read) == callers * calls * 3
    for caller in range(callers):
        assert [item[1:] for item in read if item[0] == caller] == [(n, p) for n in range(calls) for p in range(3)]
    assert all(read[start][:2] == read[start + 2][:2] for start in range(0, len(read), 3))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """An older program does not touch what a newer one has written."""
    path = tmp_path / "stream.db"
    SqliteStream(path).close()
    database = Database(path, "stream")
    with database.transaction() as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    database.close()
    with pytest.raises(StartRefused, match="newer version"):
        SqliteStream(path)


def test_a_damaged_file_is_no_passing_fault(tmp_path: Path) -> None:
    """A file that is no database stops the start; trying again would not help."""
    path = tmp_path / "stream.db"
    path.write_bytes(b"not a database, and long enough to be looked at " * 100)
    with pytest.raises(InvariantViolated):
        SqliteStream(path)


def test_a_closed_database_is_unavailable(tmp_path: Path) -> None:
    """A stage that is late at a stop gets an error that it knows."""
    stream = SqliteStream(tmp_path / "stream.db")
    stream.close()
    with pytest.raises(Unavailable):
        stream.append([NewRecord("p", b"x")])
