"""How far a load has come: counted late rather than early."""

from __future__ import annotations

from builders import KEY, write
from playerstate.backends.memory.store import MemoryStore
from playerstate.backends.memory.stream import MemoryCheckpoints, MemoryStream
from playerstate.ports.stream import NewRecord
from playerstate.workload.progress import Progress


def test_an_update_counts_when_project_has_passed_what_it_changed() -> None:
    """Neither apply's checkpoint alone, nor project's at an earlier change, makes it count."""
    stream, store, checkpoints = MemoryStream(), MemoryStore(), MemoryCheckpoints()
    progress = Progress(stream, store.changes, checkpoints)

    position = stream.append([NewRecord("anna", b"1")])
    progress.add(10)
    assert progress.sent == 10
    assert progress.cached() == 0

    store.commit([[first := write(KEY, 1)]])
    assert progress.cached() == 0
    checkpoints.save("apply", position)
    assert progress.cached() == 0
    checkpoints.save("project", store.changes.head())
    assert progress.cached() == 10

    position = stream.append([NewRecord("anna", b"2")])
    progress.add(5)
    store.commit([[write(KEY, 2, after=first)]])
    checkpoints.save("apply", position)
    assert progress.cached() == 10
    checkpoints.save("project", store.changes.head())
    assert progress.cached() == 15
