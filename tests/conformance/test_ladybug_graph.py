"""What Ladybug's graph guarantees beyond the port: its folder, crashes, and errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance.graph import ANNA, SCHEMA, edges_of
from conformance.graph_writer import KEYS, targets_at, version
from conformance.suite import crashed_copy
from playerstate.backends.cypher import query
from playerstate.backends.ladybug import graph as ladybug_graph
from playerstate.backends.ladybug.database import Database, Row
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.core.model import Key
from playerstate.core.schema import Edge, parse_schema
from playerstate.errors import FolderInUse, InvariantViolated, SchemaRefused, StartRefused, Unavailable
from playerstate.ports.graph import EdgesOfKey

POOL_BYTES = 64 * 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "graph"


def opened(folder: Path, schema: str | None = None) -> LadybugGraph:
    parsed = parse_schema(f'[game]\nname = "g"\nversion = 1\n{schema}') if schema else SCHEMA
    return LadybugGraph(folder, parsed, buffer_pool_bytes=POOL_BYTES)


@contextmanager
def writing(folder: Path, first: int) -> Iterator[subprocess.Popen[str]]:
    """A process that writes to the folder, until it is killed at the latest here."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "conformance.graph_writer", str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str], lines: int) -> int:
    """Wait until the process has told of so many versions; the last of them."""
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    assert told[-1], "the writer ended by itself"
    return int(told[-1])


def check_whole(graph: LadybugGraph) -> int:
    """Every key is at one version, with exactly that version's edges; returns the version."""
    found = [graph.edges(key) for key in KEYS]
    total = found[0][0]
    assert found == [(total, targets_at(total) if total else [])] * len(KEYS)
    return total


def test_a_kill_during_a_sync(folder: Path) -> None:
    """After kill -9 at any moment the graph holds one whole version, none that was told of is lost, and it goes on."""
    reached = 0
    for lines in (1, 2, 4, 7):
        with writing(folder, reached + 1) as process:
            told = heard(process, lines)
        with closing(opened(folder)) as graph:
            assert check_whole(graph) >= told
            reached = told + 1000
            assert graph.sync(version(reached)) == len(KEYS)
            assert check_whole(graph) == reached


def test_a_torn_log(folder: Path) -> None:
    """A log whose end is missing, wherever it was torn, still opens as a whole version, and is synced again."""
    with closing(opened(folder)) as graph:
        for total in range(1, 6):
            graph.sync(version(total))
        crashed = crashed_copy(folder / "graph.lbug").parent
    log_bytes = (crashed / "graph.lbug.wal").stat().st_size
    seen = set()
    for at, size in enumerate(range(0, log_bytes, log_bytes // 12)):
        torn = folder.with_name(f"torn-{at}")
        shutil.copytree(crashed, torn)
        os.truncate(torn / "graph.lbug.wal", size)
        with closing(opened(torn)) as graph:
            seen.add(check_whole(graph))
            assert graph.sync(version(7)) == len(KEYS)
            assert check_whole(graph) == 7
    assert seen == set(range(5)), "the log was not torn where it matters"


FULL_DISK = """
import resource, sys
from pathlib import Path
from conformance.graph import SCHEMA
from conformance.graph_writer import KEYS, targets_at, version
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.errors import OutcomeUnknown, Unavailable

graph = LadybugGraph(Path(sys.argv[1]), SCHEMA, buffer_pool_bytes=64 * 1024 * 1024)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
failed = set()
for number in range(1, 60):
    full = 0 < number % 10 < 4
    resource.setrlimit(resource.RLIMIT_FSIZE, (number * 700 if full else hard, hard))
    for keys in ([KEYS[0]], KEYS[1:]):
        try:
            graph.sync([edges for edges in version(number) if edges.key in keys])
        except (OutcomeUnknown, Unavailable) as exc:
            failed.add(type(exc).__name__)
            assert full, exc
    if not full:
        assert [graph.edges(key) for key in KEYS] == [(number, targets_at(number))] * len(KEYS), number
assert failed == {"OutcomeUnknown", "Unavailable"}, failed
graph.close()
"""


def test_a_full_disk(folder: Path) -> None:
    """What cannot be written is said, and nothing waits for ever; once there is room, everything goes on by itself."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FULL_DISK, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=90, check=False)
    assert ended.returncode == 0, ended.stderr
    with closing(opened(folder)) as graph:
        assert check_whole(graph) == 59


def test_a_folder_that_another_process_has_open(folder: Path) -> None:
    """The folder is refused while another process has it, with words that say so, and is free once that has ended."""
    with writing(folder, 1) as process:
        heard(process, 1)
        with pytest.raises(FolderInUse, match="Another process has the graph"):
            opened(folder)
    opened(folder).close()


def test_a_file_that_is_not_ours(folder: Path) -> None:
    """A file of another format is refused, and left as it is."""
    folder.mkdir()
    file = folder / "graph.lbug"
    file.write_bytes(b"LBUG" + b"9" * 5000)
    with pytest.raises(StartRefused, match="cannot be opened"):
        opened(folder)
    assert file.read_bytes() == b"LBUG" + b"9" * 5000


@pytest.mark.parametrize(
    "edge",
    [
        '{ label = "SYNCED" }',
        '{ label = "player" }',
        '{ label = "OWNS", to = "Synced" }',
        '{ label = "OWNS", to = "owns" }',
        '{ label = "Pet", to = "Pet" }',
        '{ label = "Player" }',
        '{ label = "friend" }',
    ],
)
def test_names_that_would_clash(folder: Path, edge: str) -> None:
    """A schema whose labels and kinds Ladybug cannot tell apart is refused, and the folder is let go of."""
    keys = f'[keys.friends]\ntype = "set"\nedge = {{ label = "FRIEND" }}\n[keys.x]\ntype = "set"\nedge = {edge}'
    with pytest.raises(SchemaRefused, match="cannot tell"):
        opened(folder, keys)
    opened(folder).close()


def test_a_schema_that_has_grown(folder: Path) -> None:
    """A folder takes new labels, and new kinds at the end of a label, when its schema gets them."""
    before = '[keys.friends]\ntype = "set"\nedge = { label = "FRIEND" }'
    opened(folder, before).close()
    pets = Key("anna", "pets")
    with closing(
        opened(folder, f'{before}\n[keys.pets]\ntype = "set"\nedge = {{ label = "FRIEND", to = "Pet" }}')
    ) as graph:
        graph.sync([edges_of(ANNA, 1, "bob"), EdgesOfKey(pets, Edge("FRIEND", "Pet"), 1, ["rex"])])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"bob", "rex"}}


def test_an_edge_that_the_schema_does_not_have(folder: Path) -> None:
    """An edge that was not declared is a mistake of the caller's, and nothing of its batch is written."""
    with closing(opened(folder, '[keys.friends]\ntype = "set"\nedge = { label = "FRIEND" }')) as graph:
        with pytest.raises(InvariantViolated, match="does not declare"):
            graph.sync([edges_of(ANNA, 1, "bob"), edges_of(ANNA._replace(state_key="guild"), 1, "owls")])
        assert graph.edges(ANNA) == (0, [])


def test_labels_are_never_taken_for_code() -> None:
    """Only an identifier is put into a query's text."""
    for label in ("", "a b", "x`]->(n) DETACH DELETE n //", "FRIEND\n"):
        with pytest.raises(InvariantViolated, match="no graph label"):
            query("targets", label=label)


@pytest.mark.parametrize("failing", ["BEGIN TRANSACTION", query("create_edges", label="FRIEND"), query("put_synced")])
def test_a_query_that_fails(folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """When a query fails half-way nothing of the sync has happened, and the same call may be made again."""
    run = Database.run

    def fail(self: Database, text: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        return run(self, "MATCH (nowhere:Nowhere) RETURN nowhere" if text == failing else text, parameters)

    with closing(opened(folder)) as graph:
        graph.sync([edges_of(ANNA, 1, "bob")])
        with monkeypatch.context() as patch:
            patch.setattr(Database, "run", fail)
            with pytest.raises(Unavailable, match="does not answer"):
                graph.sync([edges_of(ANNA, 2, "carl")])
        assert graph.edges(ANNA) == (1, ["bob"])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"bob"}}
        assert graph.sync([edges_of(ANNA, 2, "carl")]) == 1
        assert graph.edges(ANNA) == (2, ["carl"])


def test_an_interruption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that is broken off between two queries has not happened, and what follows is not part of it."""
    run = Database.run

    def interrupt(self: Database, text: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        if text == query("put_synced"):
            raise KeyboardInterrupt
        return run(self, text, parameters)

    with closing(opened(folder)) as graph:
        graph.sync([edges_of(ANNA, 1, "bob")])
        with monkeypatch.context() as patch:
            patch.setattr(Database, "run", interrupt)
            with pytest.raises(KeyboardInterrupt):
                graph.sync([edges_of(ANNA, 2, "carl")])
        assert graph.targets(["anna"], "FRIEND") == {"anna": {"bob"}}
        assert graph.sync([edges_of(ANNA, 2, "carl")]) == 1
        assert graph.edges(ANNA) == (2, ["carl"])


def test_a_batch_of_many_edges(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that takes several transactions ends as one would; a key larger than a transaction is taken whole."""
    monkeypatch.setattr(ladybug_graph, "TRANSACTION_EDGES_MAX", 10)
    sizes = [3, 0, 12, 7, 10, 1, 25, 0]
    batch = [edges_of(key, 1, *(f"target-{n}" for n in range(size))) for key, size in zip(KEYS, sizes, strict=False)]
    with closing(opened(folder)) as graph:
        assert graph.sync(batch) == len(sizes)
        for edges in batch:
            assert graph.edges(edges.key) == (1, sorted(edges.targets))


def test_a_closed_graph(folder: Path) -> None:
    """After closing, twice even, every call is refused as unavailable."""
    graph = opened(folder)
    graph.close()
    graph.close()
    with pytest.raises(Unavailable):
        graph.edges(ANNA)
    with pytest.raises(Unavailable):
        graph.sync([edges_of(ANNA, 1, "bob")])
