"""Online backup: a copy that is made while a node works misses nothing that was acknowledged before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playerstate import backup as backup_module
from playerstate.backends.sqlite.audit import SqliteAudit
from playerstate.backends.sqlite.database import Database
from playerstate.backends.sqlite.dead_letters import SqliteDeadLetters
from playerstate.backends.sqlite.snapshot import Snapshot
from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backends.sqlite.stream import SqliteCheckpoints, SqliteStream
from playerstate.backup import ABOUT_FILE, back_up, verify_backup
from playerstate.core.answers import Accepted
from playerstate.core.model import Key, Outcome
from playerstate.core.producers import recall
from playerstate.core.row import join_rows
from playerstate.core.schema import load_schema
from playerstate.core.types import DATA_TYPES
from playerstate.core.wire import row_readers
from playerstate.errors import BackupRefused, InvariantViolated, Unavailable
from playerstate.node import Node, Options
from playerstate.ports.stream import NewRecord
from playerstate.runtime.applying import ApplyConsumer
from playerstate.runtime.clock import SystemClock
from playerstate.stages.apply import Apply
from waiting import wait_until

THREADS = Options(workers="thread")
LIMIT_S = 20.0
PLAYERS = [f"p{n}" for n in range(20)]


def earn(player: str, sequence: int) -> dict[str, Any]:
    op = {"player_id": player, "state_key": "gold", "op": "add", "n": 1}
    return {"ops": [op], "producer": "game", "sequence": sequence}


class Sender:
    """Sends as fast as the node takes it, round after round, until it is told to stop."""

    def __init__(self, node: Node) -> None:
        self.acknowledged: Counter[str] = Counter()
        self.pause = threading.Event()
        self._node = node
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        sequence = 0
        while not self.pause.is_set():
            sequence += 1
            answers = self._node.service.send_many([earn(player, sequence) for player in PLAYERS])
            assert all(isinstance(answer, Accepted) for answer in answers)
            self.acknowledged.update(PLAYERS)

    def stop(self) -> None:
        self.pause.set()
        self._thread.join()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a node that has stopped."""
    with Node(tmp_path / "data", options=THREADS) as node:
        node.service.send_many([earn(player, 1) for player in PLAYERS])
        node.service.send({"ops": [{"player_id": "ada", "state_key": "gold", "op": "subtract", "n": 1}]})
        assert node.service.drain(timeout_s=LIMIT_S)
    return tmp_path / "data"


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[tuple[Path, Sender]]:
    """A node that takes updates without end."""
    with Node(tmp_path / "data", options=THREADS) as node:
        sender = Sender(node)
        try:
            yield tmp_path / "data", sender
        finally:
            sender.stop()


def applied_after_a_start(path: Path) -> Counter[str]:
    """How many updates of each player have taken effect once apply has gone on where the copy stood.

    It checks on the way that rows and memory agree, and that the history tells of no write that the rows do not have.
    """
    schema = load_schema((path / "schema.json").read_bytes())
    readers = row_readers(schema)
    store, stream = SqliteStore(path / "store.db"), SqliteStream(path / "stream.db")
    checkpoints, letters = SqliteCheckpoints(path / "checkpoints.db"), SqliteDeadLetters(path / "dead-letters.db")
    audit = SqliteAudit(path / "audit.db")
    steps = {player: steps_of(readers, store, player) for player in PLAYERS}
    assert all(t.last <= steps[player] for player in PLAYERS for t in audit.history(player, limit=10**6))
    apply = ApplyConsumer(stream, checkpoints, Apply(schema, "local", store, letters, SystemClock()), store.changes)
    while apply.step():
        pass
    found: Counter[str] = Counter()
    for player in PLAYERS:
        key = Key(player, "gold")
        rows = [readers["gold"].decode(body) for body in store.load([key])[key].values()]
        joined = join_rows(rows, DATA_TYPES["bounded_counter"])
        found[player] = sum(joined.state.values())
        for sequence in range(1, found[player] + 1):
            assert isinstance(recall(joined.memory, "game", sequence, SystemClock().now_ms()), Outcome)
    for part in (store, stream, checkpoints, letters, audit):
        part.close()
    return found


def steps_of(readers: Any, store: SqliteStore, player: str) -> int:
    bodies = store.load([Key(player, "gold")])[Key(player, "gold")]
    return max((readers["gold"].decode(body).vector.get("local", 0) for body in bodies.values()), default=0)


def test_a_backup_of_a_busy_node_misses_nothing(busy: tuple[Path, Sender], tmp_path: Path) -> None:
    """Promise 1: whatever was acknowledged before it began has taken effect once a node goes on from the copy, once."""
    data, sender = busy
    for attempt in range(5):
        wait_until(lambda wanted=(attempt + 1) * 400: sender.acknowledged.total() > wanted)
        before = Counter(sender.acknowledged)
        report = back_up(data, tmp_path / f"backup-{attempt}")
        assert report.rows == len(PLAYERS)
        assert verify_backup(tmp_path / f"backup-{attempt}") == report
    sender.stop()
    for attempt in range(5):
        found = applied_after_a_start(tmp_path / f"backup-{attempt}")
        assert all(found[player] <= sender.acknowledged[player] for player in PLAYERS)
    assert all(found[player] >= before[player] for player in PLAYERS)  # of the last one


def test_a_backup_of_a_stopped_node_is_what_it_holds(data: Path, tmp_path: Path) -> None:
    """Every file that must last is in it, settings too, and nothing in the folder has changed."""
    (data / "settings.toml").write_text("[retention]\nhistory_days = 1000\n", "utf-8")
    before = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    report = back_up(data, tmp_path / "backups" / "monday")
    assert {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()} == before
    assert set(report.files) == before.keys() - {"node.lock"}
    assert {path.name for path in (tmp_path / "backups" / "monday").iterdir()} == {*report.files, ABOUT_FILE}
    assert (report.region, report.rows, report.last_change) == ("local", len(PLAYERS) + 1, len(PLAYERS) + 1)
    assert applied_after_a_start(tmp_path / "backups" / "monday") == Counter(PLAYERS)


def test_a_copied_store_belongs_to_nobody(data: Path, tmp_path: Path) -> None:
    """It says so itself, so that moving it into place does not make it a region's."""
    back_up(data, tmp_path / "backup")
    database = Database(tmp_path / "backup" / "store.db", "store")
    assert database.read("SELECT region FROM about") == [("a backup of local",)]
    database.close()


def test_a_backup_is_made_to_a_new_place(data: Path, tmp_path: Path) -> None:
    """What is there already is left alone; what is no data folder is not copied."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for target in ("empty", "dangling", "data"):
        with pytest.raises(BackupRefused, match="there already"):
            back_up(data, tmp_path / target)
    with pytest.raises(BackupRefused, match="no data folder"):
        back_up(tmp_path / "empty", tmp_path / "backup")
    with pytest.raises(BackupRefused, match="No backup can be made"):
        back_up(data, data / "folder.json" / "backup")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "empty", "dangling"}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda backup: flip(backup / "store.db"), r"store\.db is not what it was"),
        (lambda backup: (backup / "stream.db").unlink(), r"stream\.db cannot be read"),
        (lambda backup: os.truncate(backup / "audit.db", 4_096), r"audit\.db is not what it was \(4,096 bytes"),
        (lambda backup: (backup / "store.db-wal").write_bytes(b"x"), r"store\.db-wal does not belong to it"),
        (lambda backup: (backup / ABOUT_FILE).unlink(), "is no backup"),
        (lambda backup: (backup / ABOUT_FILE).write_text('{"format": 1}'), "is no backup"),
        (lambda backup: (backup / ABOUT_FILE).write_text('{"format": 99}'), "newer version"),
    ],
)
def test_damage_is_told(data: Path, tmp_path: Path, damage: Callable[[Path], None], told: str) -> None:
    """A byte that has changed, a file that is missing or too much, an account of it that cannot be read."""
    back_up(data, tmp_path / "backup")
    verify_backup(tmp_path / "backup")
    damage(tmp_path / "backup")
    with pytest.raises(BackupRefused, match=told):
        verify_backup(tmp_path / "backup")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_folder_is_not_backed_up(data: Path, tmp_path: Path) -> None:
    """Who finds that out at the restore has found it out too late."""
    content = bytearray((data / "store.db").read_bytes())
    content[4_096:8_192] = b"\xff" * 4_096
    (data / "store.db").write_bytes(content)
    with pytest.raises(InvariantViolated, match=r"store\.db"):
        back_up(data, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


class Hurried(Snapshot):
    """A node that applies, and lets go of, everything between the moments of checkpoints and stream."""

    times = 1

    def __init__(self, path: Path) -> None:
        if path.name == "stream.db" and Hurried.times:
            Hurried.times -= 1
            stream, checkpoints = SqliteStream(path), SqliteCheckpoints(path.parent / "checkpoints.db")
            head = stream.append([NewRecord("p", b"record")] * 5)
            checkpoints.save("apply", head - 1)
            stream.trim(head - 1)
            stream.close()
            checkpoints.close()
        super().__init__(path)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_log_that_went_on_too_fast_is_copied_anew(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A copy never lacks what its own checkpoints ask for; where it cannot be had, there is none."""
    monkeypatch.setattr(backup_module, "Snapshot", Hurried)
    monkeypatch.setattr(Hurried, "times", times)
    if times < backup_module.TRIES_MAX:
        back_up(data, tmp_path / "backup")
        checkpoints, stream = (
            SqliteCheckpoints(tmp_path / "backup" / "checkpoints.db"),
            SqliteStream(tmp_path / "backup" / "stream.db"),
        )
        (record,) = stream.read(checkpoints.load("apply"), 10)
        assert record.position == checkpoints.load("apply") + 1
        stream.close()
        checkpoints.close()
    else:
        with pytest.raises(Unavailable, match="let go of what the backup needed"):
            back_up(data, tmp_path / "backup")
        assert [path.name for path in tmp_path.iterdir()] == ["data"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from playerstate.backup import back_up
from playerstate.errors import Unavailable

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
told = 0
for limit in (0, 4_096, 15_000, 20_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        back_up(Path(sys.argv[1]), Path(sys.argv[2]))
    except Unavailable:
        told += 1
print(told)
"""


def test_a_full_disk_leaves_no_half_backup(data: Path, tmp_path: Path) -> None:
    """It is told, and nothing stays behind, wherever the space came to its end."""
    command = [sys.executable, "-c", FULL_DISK, str(data), str(tmp_path / "backup")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, "4\n"), ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_command(data: Path, tmp_path: Path) -> None:
    """It says what it made, as words or as data; what cannot be done it refuses with exit code 1."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "playerstate.cli.main", "backup", "--data", str(data), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    ran = run(str(tmp_path / "one"))
    assert ran.returncode == 0, ran.stderr
    assert "a backup of region local, 21 rows" in ran.stdout
    told = json.loads(run(str(tmp_path / "two"), "--json").stdout)
    assert (told["region"], told["rows"], told["target"]) == ("local", 21, str(tmp_path / "two"))
    assert told["bytes"] == sum(file["bytes"] for file in told["files"].values())
    again = run(str(tmp_path / "two"), "--json")
    assert (again.returncode, json.loads(again.stderr)["error"]["code"]) == (1, "backup_refused")
