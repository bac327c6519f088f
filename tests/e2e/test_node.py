"""The embedded node: it resumes, holds its folder alone, and outlives the death of its parts."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import redis

import playerstate
from builders import letter
from playerstate import node as node_module
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.client import find_node
from playerstate.core.answers import Accepted, Rejected
from playerstate.core.model import Identity, Op, Outcome, Status, Update
from playerstate.core.wire import encode_record, encode_update
from playerstate.errors import FolderInUse, InvalidUpdate, SchemaRefused, StartRefused
from playerstate.folder import starter_schema
from playerstate.node import Node, Options
from playerstate.ports.stream import NewRecord
from playerstate.runtime.crew import Crew, Role
from playerstate.runtime.supervisor import Supervisor
from playerstate.worker import HALTED
from playerstate.workers import WorkerProcess
from valkey_cluster import Cluster
from waiting import wait_until

THREADS = Options(workers="thread")
LIMIT_S = 20.0


def gold(player: str, n: int, **rest: object) -> dict[str, object]:
    return {"ops": [{"player_id": player, "state_key": "gold", "op": "add", "n": n}], **rest}


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[str]:
    """A cache server that no node has started."""
    server = ValkeyServer(tmp_path / "valkey", maxmemory_mb=64, marker="")
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with worker processes, as `serve` runs it."""
    with Node(tmp_path_factory.mktemp("node") / "data") as running:
        yield running


def test_outcomes_are_read_back(node: Node) -> None:
    """Whoever sent an update can ask what became of it, again and again."""
    accepted = node.service.send(gold("ada", 5))
    refused = node.service.send(
        {"ops": [{"player_id": "ada", "state_key": "gold", "op": "subtract", "n": 99}], "producer": "p", "sequence": 1}
    )
    assert isinstance(accepted, Accepted)
    assert isinstance(refused, Accepted)
    for _ in range(2):
        assert node.service.outcome(accepted.identity, wait_s=LIMIT_S) == Outcome(Status.APPLIED)
        assert node.service.outcome(refused.identity, wait_s=LIMIT_S) == Outcome(Status.REFUSED, "insufficient")
    unknown = msgspec.structs.replace(accepted, sequence=accepted.sequence + 1)
    assert node.service.outcome(unknown.identity, wait_s=0.1) is None


def test_a_running_node_is_found_and_holds_its_folder(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`open` on a folder that is served talks to its node; a second node is refused."""
    folder = next(tmp_path_factory.getbasetemp().glob("node*/data"))
    with playerstate.open(folder) as remote:
        assert type(remote).__name__ == "RemoteNode"
        answer = remote.send(gold("eve", 3))
        assert isinstance(answer, Accepted)
        assert remote.outcome(answer.identity, wait_s=LIMIT_S) == Outcome(Status.APPLIED)
        assert remote.drain(timeout_s=LIMIT_S)
        assert remote.get("eve", "gold") == node.service.get("eve", "gold")
        assert remote.get_player("eve") == node.service.get_player("eve")
        assert remote.history("eve") == node.service.history("eve")
        assert remote.schema == node.schema
        wait_until(lambda: remote.stats().outcomes.get("applied", 0) >= 1, "the stats do not follow")
        with pytest.raises(InvalidUpdate, match="no key 'nonsense'"):
            remote.get("eve", "nonsense")
    with pytest.raises(FolderInUse, match=str(os.getpid())):
        Node(folder)


def test_the_same_words_on_every_way_in(node: Node, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Promise 10: in-process, over the socket, as data or as text, a bad update hears the same."""
    folder = next(tmp_path_factory.getbasetemp().glob("node*/data"))
    bad = [
        {"ops": [{"player_id": "ada", "state_key": "gold", "op": "add", "n": 1.5}]},
        {"ops": [{"player_id": "a{b", "state_key": "gold", "op": "add", "n": 1}]},
        {"ops": [{"player_id": "ada", "state_key": "rank", "op": "set", "value": 101}]},
        {"ops": [{"player_id": "ada", "state_key": "gold", "op": "add", "n": 1, "player": "x"}]},
        {"ops": []},
        {"ops": [{"player_id": "ada", "state_key": "position", "op": "set", "value": 2**60}]},
        gold("ada", 1, sent_at=1),
    ]
    with playerstate.open(folder) as remote:
        ways = [node.service.send_many(bad), remote.send_many(bad)]
        texts = [msgspec.json.encode(update) for update in bad]
        ways += [node.service.send_many(texts), remote.send_many(texts)]
    assert all(isinstance(answer, Rejected) for way in ways for answer in way)
    assert ways[1:] == ways[:-1]


def test_watchers_see_changes(node: Node) -> None:
    """A watcher hears of a view once it listens, with the value that readers then get."""
    folder_views = node.service.watch("wanda", timeout_s=0.05)
    assert next(folder_views) is None
    node.service.send(gold("wanda", 4))
    wait_until(lambda: (view := next(folder_views)) is not None and view.decoded() == 4, "no view came")


def cache_process(node: Node) -> int:
    """The process of the node's Valkey."""
    assert node._valkey is not None
    with redis.Redis.from_url(node._valkey.url) as client:
        return int(client.info("server")["process_id"])


def test_a_dead_update_of_accepts_own_is_no_applied_one(node: Node) -> None:
    """Its number lies below one that was applied, and such producers leave no gaps; still it may be sent again."""
    bad, good = (
        Update([Op("zoe", "rank", "set", value=value)], "@away.1", sequence, node._clock.now_ms())
        for sequence, value in ((1, 10**6), (2, 7))
    )
    records = [encode_record(node._clock.now_ms(), [encode_update(update)]) for update in (bad, good)]
    node.parts.stream.append([NewRecord("zoe", body) for body in records])
    node.service.send(gold("zoe", 1))
    assert node.service.drain(timeout_s=LIMIT_S)
    assert node.service.get("zoe", "rank").decoded() == 7
    assert node.service.outcome(Identity("@away.1", 2, "zoe", "rank")) == Outcome(Status.APPLIED)
    assert node.service.outcome(Identity("@away.1", 1, "zoe", "rank")) == Outcome(Status.DEAD, "out_of_range")
    letter = node.parts.dead_letters.find(Identity("@away.1", 1, "zoe", "rank"))
    assert letter is not None
    (answer,) = node.service.send_again(letter.letter_id)
    assert isinstance(answer, Rejected)
    assert answer.code == "out_of_range"


def test_a_killed_cache_comes_back_and_loses_nothing(node: Node) -> None:
    """The cache is a cache: while it is away readers get the store's answer, and then it is filled again."""
    answer = node.service.send(gold("carl", 8))
    assert isinstance(answer, Accepted)
    assert node.service.outcome(answer.identity, wait_s=LIMIT_S) == Outcome(Status.APPLIED)
    pid = cache_process(node)
    os.kill(pid, signal.SIGKILL)
    assert node.service.get("carl", "gold").decoded() == 8
    node.service.send(gold("carl", 1))
    assert node.service.drain(timeout_s=LIMIT_S)
    wait_until(lambda: node.service.get("carl", "gold").decoded() == 9, "the cache did not come back")
    assert cache_process(node) != pid


@pytest.mark.parametrize("role", [Role.APPLY, Role.FOLLOW])
def test_a_killed_worker_comes_back_and_misses_nothing(node: Node, role: Role) -> None:
    """Every stage goes on from its checkpoint."""
    worker = node._crews[role]
    assert isinstance(worker, WorkerProcess)
    process, player = worker.process, f"fred-{role}"
    process.kill()
    process.wait()
    answers = node.service.send_many([gold(player, 1) for _ in range(300)])
    assert all(isinstance(answer, Accepted) for answer in answers)
    wait_until(lambda: worker.process is not process, "the worker was not started again")
    assert node.service.drain(timeout_s=LIMIT_S)
    assert node.service.get(player, "gold").decoded() == 300
    assert sum(len(t.causes) for t in node.service.history(player, limit=1000).transitions) == 300
    assert node.alive


def test_what_cannot_be_restarted_holds_up_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is out of memory starts no process; that is no news to the supervisor, and alarms are judged."""

    def fails(_: Crew) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(Crew, "ensure_running", fails)
    with Node(tmp_path / "data", options=THREADS) as node:
        node.parts.dead_letters.put([letter("1")])
        wait_until(lambda: bool(node.service.alarms()), "no alarm fires")
        assert node.alive
        monkeypatch.setattr(Supervisor, "well", False)
        assert not node.alive


def test_a_folder_resumes(tmp_path: Path) -> None:
    """What waits is left for the next start, which goes on from there, with what the client sends again harmless."""
    with Node(tmp_path / "data", options=THREADS) as first:
        answers = first.service.send_many([gold("ada", 1, producer="p", sequence=n) for n in range(1, 501)])
        assert all(isinstance(answer, Accepted) for answer in answers)
    assert find_node(tmp_path / "data") is None
    with Node(tmp_path / "data", options=THREADS) as second:
        second.service.send_many([gold("ada", 1, producer="p", sequence=n) for n in range(400, 502)])
        assert second.service.drain(timeout_s=LIMIT_S)
        assert second.service.get("ada", "gold").decoded() == 501
        assert sum(len(t.causes) for t in second.service.history("ada", limit=1000).transitions) == 501


def test_own_producers_never_number_twice(tmp_path: Path) -> None:
    """Updates without identity, over many starts: none is taken for a repeat of another, and few producers are seen."""
    producers = set()
    for _ in range(3):
        with Node(tmp_path / "data", options=THREADS) as node:
            for _ in range(5):
                answer = node.service.send(gold("ada", 1))
                assert isinstance(answer, Accepted)
                producers.add(answer.producer)
    with Node(tmp_path / "data", options=THREADS) as node:
        assert node.service.drain(timeout_s=LIMIT_S)
        assert node.service.get("ada", "gold").decoded() == 15
    assert len(producers) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('type = "counter"', 'type = "max_register"'), "keys.experience is stored as counter"),
        (("[keys.tutorial_done]", "[keys.tutorial_over]"), "keys.tutorial_done may have state"),
        (("max_entries = 500", "max_entries = 501"), "raise game.version"),
        (("version = 1", "version = 0"), "starts at 1"),
        (('type = "flag"', 'type = "banner"'), "Invalid enum value 'banner'"),
    ],
)
def test_a_schema_that_does_not_fit_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    """The reason is said before anything is touched, and the folder works on with its own schema."""
    with Node(tmp_path / "data", options=THREADS):
        pass
    with pytest.raises(SchemaRefused, match=message):
        Node(tmp_path / "data", schema_text=starter_schema().replace(*change, 1), options=THREADS)
    with Node(tmp_path / "data", options=THREADS):
        pass


def test_a_folder_of_a_newer_version_or_another_region_is_refused(tmp_path: Path) -> None:
    """An older program, or a node of another region, does not touch the folder."""
    folder = tmp_path / "data"
    with Node(folder, options=THREADS):
        pass
    with pytest.raises(StartRefused, match="belongs to the region local"):
        Node(folder, options=Options(region="eu-west-1", workers="thread"))
    about = msgspec.json.decode((folder / "folder.json").read_bytes())
    (folder / "folder.json").write_bytes(msgspec.json.encode({**about, "format": 99, "new": True}))
    with pytest.raises(StartRefused, match="newer version"):
        Node(folder, options=THREADS)


@pytest.mark.parametrize(
    ("name", "content"),
    [("game.toml", b"\xff\xfe"), ("schema.json", b"{"), ("schema.json", b"\xff"), ("folder.json", b"[]")],
)
def test_a_damaged_folder_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    """Whoever reads the refusal knows which file to look at; with the file restored the folder works on."""
    folder = tmp_path / "data"
    with Node(folder, options=THREADS):
        pass
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(content)
    with pytest.raises(StartRefused, match=name):
        Node(folder, options=THREADS)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(StartRefused, match=name):
        Node(folder, options=THREADS)
    (folder / name).rmdir()
    (folder / name).write_bytes(whole)
    with Node(folder, options=THREADS):
        pass


def test_a_start_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was started before the fault is stopped, and the folder let go of."""

    def fail(*_: object) -> None:
        raise OSError("no more of anything")

    before = set(threading.enumerate())
    with monkeypatch.context() as patch:
        patch.setattr(node_module, "SocketServer", fail)
        with pytest.raises(OSError, match="no more of anything"):
            Node(tmp_path / "data")
        patch.undo()
        patch.setattr(WorkerProcess, "_start", fail)
        with pytest.raises(OSError, match="no more of anything"):
            Node(tmp_path / "data")
    assert set(threading.enumerate()) <= before
    with Node(tmp_path / "data"):
        pass


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """After a stop no process of the node is left, and no socket."""
    folder = tmp_path / "data"
    with Node(folder):
        pass
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(folder) not in listing
    assert not (folder / "node.sock").exists()


def test_a_log_that_was_removed_starts_anew(tmp_path: Path) -> None:
    """Positions of another log mean nothing: what is accepted after `stream.db` was removed is applied."""
    folder = tmp_path / "data"
    with Node(folder, options=THREADS) as node:
        node.service.send_many([gold("ada", 1) for _ in range(3)])
        node.service.send(gold("ada", 1))
        assert node.service.drain(timeout_s=LIMIT_S)
    for file in folder.glob("stream.db*"):
        file.unlink()
    with Node(folder, options=THREADS) as node:
        node.service.send(gold("ada", 1))
        assert node.service.drain(timeout_s=LIMIT_S)
        assert node.service.get("ada", "gold").decoded() == 5


def test_a_folder_with_a_long_path_is_served(tmp_path: Path) -> None:
    """A socket's path is short everywhere; the folder's need not be."""
    folder = tmp_path / ("x" * 90) / "data"
    for _ in range(2):
        with Node(folder, options=THREADS) as node, playerstate.open(folder) as remote:
            watch = remote.watch("ada", timeout_s=0.05)
            remote.send(gold("ada", 2))
            wait_until(lambda: (view := next(watch)) is not None and view.decoded() > 0, "no view came")  # noqa: B023
            assert node.service.drain(timeout_s=LIMIT_S)


def test_a_cache_serves_one_folder(tmp_path: Path, valkey: str) -> None:
    """A cache named by its URL shows one folder's state; another folder is refused before it reads from it."""
    first = Options(workers="thread", cache_url=valkey)
    for _ in range(2):
        with Node(tmp_path / "first", options=first) as node:
            node.service.send(gold("ada", 2))
            assert node.service.drain(timeout_s=LIMIT_S)
    with pytest.raises(StartRefused, match="another data folder"):
        Node(tmp_path / "second", options=first)


def test_a_node_on_a_cluster(tmp_path: Path, valkey_cluster: Cluster) -> None:
    """A cache may be a cluster: it is claimed, written, read, compared, and another folder's node is refused."""
    valkey_cluster.everywhere("FLUSHALL")
    options = Options(workers="thread", cache_url=valkey_cluster.url)
    players = [f"player {n}" for n in range(30)]
    with Node(tmp_path / "first", options=options) as node:
        for player_id in players:
            node.service.send(gold(player_id, 2))
        assert node.service.drain(timeout_s=LIMIT_S)
        assert [node.service.get(player_id, "gold").decoded() for player_id in players] == [2] * 30
        assert all(primary("DBSIZE") > 0 for primary in valkey_cluster.primaries)
    with pytest.raises(StartRefused, match="another data folder"):
        Node(tmp_path / "second", options=options)


def test_a_worker_that_cannot_run_is_told_and_not_started_again(tmp_path: Path) -> None:
    """A damaged file halts its stage; the node says so, and `serve` ends with the reason."""
    folder = tmp_path / "data"
    with Node(folder) as node:
        node.service.send(gold("ada", 1))
        assert node.service.drain(timeout_s=LIMIT_S)
        worker = node._crews[Role.FOLLOW]
        assert isinstance(worker, WorkerProcess)
        for file in folder.glob("audit.db*"):
            file.write_bytes(b"not a database, and long enough to be looked at " * 200)
        worker.process.kill()
        wait_until(lambda: not node.alive, "the node believes that all is well")
        wait_until(lambda: "audit.db" in node.stats().stages["project"].last_error, "nobody says why")
        halted, worker._not_before = worker.process, 0.0
        assert halted.wait(LIMIT_S) == HALTED
        worker.ensure_running()
        assert worker.process is halted


def test_outcomes_are_told_while_the_cache_is_away(tmp_path: Path) -> None:
    """The store knows what became of an update; the watch only says when to look."""
    options = Options(workers="thread", cache_url=f"unix://{tmp_path}/nobody.sock")
    with Node(tmp_path / "data", options=options) as node:
        answer = node.service.send(gold("ada", 2))
        assert isinstance(answer, Accepted)
        assert node.service.outcome(answer.identity, wait_s=LIMIT_S) == Outcome(Status.APPLIED)
        assert node.service.get("ada", "gold").decoded() == 2


def test_a_client_outlives_its_node(tmp_path: Path) -> None:
    """When the node is started again, the next calls find it; kept connections to the old one are thrown away."""
    folder = tmp_path / "data"
    with Node(folder, options=THREADS):
        client = playerstate.open(folder)
        client.send(gold("ada", 1))
    with Node(folder, options=THREADS):
        client.send(gold("ada", 1))
        assert client.drain(timeout_s=LIMIT_S)
        assert client.get("ada", "gold").decoded() == 2
    client.close()


def test_an_outcome_that_the_row_has_let_go_is_in_the_history(tmp_path: Path) -> None:
    """Promise 2: callers share a producer of accept's; one caller's many refusals do not hide another's outcome."""
    dear = {"ops": [{"player_id": "ada", "state_key": "gold", "op": "subtract", "n": 99}]}
    with Node(tmp_path / "data", options=THREADS) as node:
        first = node.service.send(gold("ada", 1))
        refused = node.service.send_many([dear] * 40)
        assert node.service.drain(timeout_s=LIMIT_S)
        assert isinstance(first, Accepted)
        assert node.service.outcome(first.identity) == Outcome(Status.APPLIED)
        assert isinstance(refused[0], Accepted)
        assert node.service.outcome(refused[0].identity) == Outcome(Status.REFUSED, "insufficient")
