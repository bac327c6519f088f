"""The order of a backup's moments: whatever a node does between any two of them, nothing is missing in the copy."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import msgspec
import pytest

from playerstate import backup as backup_module
from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.sqlite.audit import SqliteAudit
from playerstate.backends.sqlite.dead_letters import SqliteDeadLetters
from playerstate.backends.sqlite.findings import SqliteFindings
from playerstate.backends.sqlite.queue import SqliteQueue
from playerstate.backends.sqlite.snapshot import Snapshot
from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backends.sqlite.stream import SqliteCheckpoints, SqliteStream
from playerstate.backup import back_up
from playerstate.core.groups import Wants
from playerstate.core.letters import End, Ending
from playerstate.core.model import DeadLetter, Identity, Key, Op, Status, Update
from playerstate.core.schema import format_schema
from playerstate.core.wire import encode_record, encode_update, row_readers
from playerstate.folder import starter_schema
from playerstate.ports.stream import NewRecord
from playerstate.runtime.applying import ApplyConsumer
from playerstate.runtime.messages import QueueConsumer
from playerstate.runtime.projecting import ProjectConsumer
from playerstate.stages.apply import Apply
from playerstate.stages.audit import Record
from playerstate.stages.project import Group, Project
from stages.world import NOW_MS, starter

SCHEMA = starter()
GOLD, RANK = Key("ada", "gold"), Key("ada", "rank")
LETTER = DeadLetter("old", "apply", NOW_MS, "bad", "it was bad", b"", Identity("old", 1, *GOLD))
MOMENTS = 8
"""The files that are copied, each as it is at one moment."""


class HandDriven:
    """A node's durable parts in a folder, whose stages go as far as they can when told to."""

    def __init__(self, path: Path) -> None:
        clock = ManualClock(NOW_MS)
        self.stream = SqliteStream(path / "stream.db")
        self.store = SqliteStore(path / "store.db")
        self.letters = SqliteDeadLetters(path / "dead-letters.db")
        self.audit = SqliteAudit(path / "audit.db")
        self.findings = SqliteFindings(path / "findings.db")
        self.checkpoints = SqliteCheckpoints(path / "checkpoints.db")
        self.queues = {name: SqliteQueue(path / f"queue-{name}.db", clock) for name in ("audit", "link")}
        groups = [Group(self.queues["audit"], Wants.EVERYTHING)]
        apply = Apply(SCHEMA, "local", self.store, self.letters, clock)
        project = Project(SCHEMA, "local", self.store, MemoryCache(), groups, clock)
        self.consumers = [
            ApplyConsumer(self.stream, self.checkpoints, apply, self.store.changes),
            ProjectConsumer(self.store.changes, self.checkpoints, project),
            QueueConsumer("audit", self.queues["audit"], Record(self.audit).handle, self.letters, clock),
        ]
        self.sent = 0

    def send(self) -> None:
        """A good update, and two of accept's own, of which the first is none: it becomes a letter."""
        self.sent += 1
        self._append(Update([Op(*GOLD, "add", n=1)], "game", self.sent, NOW_MS))
        self._append(Update([Op(*RANK, "set", value=10**6)], "@own", 2 * self.sent - 1, NOW_MS))
        self._append(Update([Op(*RANK, "set", value=self.sent)], "@own", 2 * self.sent, NOW_MS))

    def send_letter_again(self) -> None:
        """As the command does: it goes once its update is on the stream."""
        self._append(Update([Op(*GOLD, "add", n=1)], "replay:old", 1, NOW_MS))
        self.letters.end(LETTER.letter_id, Ending(End.SENT_AGAIN, NOW_MS))

    def step_all(self) -> None:
        while sum(consumer.step() for consumer in self.consumers):
            pass

    def steps(self, key: Key) -> int:
        body = self.store.load([key])[key].get("local")
        return row_readers(SCHEMA)[key.state_key].decode(body).vector["local"] if body else 0

    def close(self) -> None:
        parts = (self.stream, self.store, self.letters, self.audit, self.findings, self.checkpoints)
        for part in (*parts, *self.queues.values()):
            part.close()

    def _append(self, update: Update) -> None:
        self.stream.append([NewRecord("p", encode_record(NOW_MS, [encode_update(update)]))])


@pytest.mark.parametrize(
    ("go_on_before", "send_again_before"),
    [(n, n) for n in range(MOMENTS + 1)] + [(n, MOMENTS - n) for n in range(MOMENTS + 1)],
)
def test_whatever_happens_between_two_moments_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go_on_before: int, send_again_before: int
) -> None:
    """Before each file's moment updates come in, and before one of them all stages go as far as they can."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "folder.json").write_bytes(msgspec.json.encode({"format": 1, "region": "local", "marker": "x"}))
    (data / "schema.json").write_bytes(format_schema(SCHEMA))
    (data / "game.toml").write_text(starter_schema())
    node = HandDriven(data)
    node.letters.put([LETTER])
    node.send()
    for consumer in node.consumers[:2]:  # so that something waits in the queue
        consumer.step()
    moments: list[str] = []

    class Between(Snapshot):
        def __init__(self, path: Path) -> None:
            node.send()
            if len(moments) == send_again_before:
                node.send_letter_again()
            if len(moments) == go_on_before:
                node.step_all()
            moments.append(path.name)
            super().__init__(path)

    monkeypatch.setattr(backup_module, "Snapshot", Between)
    back_up(data, tmp_path / "backup")
    node.close()
    assert len(moments) == MOMENTS
    shutil.rmtree(data)

    copy = HandDriven(tmp_path / "backup")
    with contextlib.closing(copy):
        assert copy.steps(GOLD) <= copy.stream.head()  # nothing is numbered that the stream has not come to
        told = {key: [t.last for t in copy.audit.history(*key)] for key in (GOLD, RANK)}
        assert all(last <= copy.steps(key) for key, lasts in told.items() for last in lasts)
        copy.step_all()
        assert copy.steps(RANK) >= 2
        bad = {letter.identity.sequence for letter in copy.letters.list() if letter.identity.producer == "@own"}
        assert bad == set(range(1, 2 * copy.steps(RANK), 2))  # one for each that was applied after it
        kept = copy.letters.get(LETTER.letter_id) is not None
        causes = [cause for t in copy.audit.history("ada") for cause in t.causes]
        again = [cause for cause in causes if cause.producer == "replay:old"]
        assert kept or len(again) == 1
        for key in (GOLD, RANK):  # all that was done is explained, once
            steps = [c.n for t in copy.audit.history(*key) for c in t.causes]
            assert sorted(steps) == list(range(1, copy.steps(key) + 1))
        assert {cause.status for cause in causes} == {Status.APPLIED}
