"""Replays through a real node: agreement when nothing happens, and when it is killed on the way."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest
from elite_journals.format import EliteJournal

import playerstate
from e2e.served import Served
from examples.journals import SESSIONS, Event, event, write_collection
from playerstate.replay import replay

FORMAT = EliteJournal()
SAMPLE_DATA = os.environ.get("PLAYERSTATE_SAMPLE_DATA", "")
JOURNALS = ["F12238238", "F123456789-overlapping-sessions", "F1697165", "F9725"]
TWITCH_SCRIPT = Path(__file__).parents[2] / "examples" / "twitch_friends.py"
needs_sample_data = pytest.mark.skipif(
    not SAMPLE_DATA, reason="PLAYERSTATE_SAMPLE_DATA does not name the recorded inputs"
)


def busy_session() -> list[Event]:
    """Trade and travel enough for a node to be killed in the middle of."""
    events = [event("LoadGame", Credits=1000)]
    for n in range(400):
        events += [
            event("MarketBuy", Type="gold", Count=1, TotalCost=n % 7),
            event("FSDJump", StarSystem=f"System {n}"),
            event("MarketSell", Type="gold", Count=1 + n % 2, TotalSale=n % 5),
            event("Friends", Name=f"cmdr-{n % 20}", Status=["Online", "Offline", "Lost"][n % 3]),
        ]
    return events


def check_while_killing(tmp_path: Path, journal: Path, kills: int) -> None:
    """Replay into a served node that is killed `kills` times on the way; then once more."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "game.toml").write_text(FORMAT.schema_text(), "utf-8")
    served = Served(folder)
    node = served.connect()
    killers: list[threading.Thread] = []

    def kill_on_the_way(done: int, total: int) -> None:
        """The next calls run into it."""
        if len(killers) < kills and done * (kills + 1) >= total * (len(killers) + 1):
            if killers:
                killers[-1].join()
            killers.append(threading.Thread(target=served.kill))
            killers[-1].start()

    report = replay(node, FORMAT, [journal], repeats_seed=1, batch_size=100, on_progress=kill_on_the_way)
    for killer in killers:
        killer.join()
    assert len(killers) == kills
    assert report.differences == []
    assert report.retries > 0
    node.close()
    node = served.connect()
    assert replay(node, FORMAT, [journal]).differences == []
    node.close()
    assert served.stop() == 0


def test_a_replay_agrees_and_so_does_a_second_one(tmp_path: Path) -> None:
    """Promise 2, through all stages: repeats of any update, and all of them, change nothing."""
    journal = write_collection(tmp_path / "journal.jsonl", SESSIONS)
    node = playerstate.open(tmp_path / "data", schema=FORMAT.schema_text())
    try:
        assert replay(node, FORMAT, [journal], repeats_seed=1, batch_size=7).differences == []
        assert replay(node, FORMAT, [journal]).differences == []
        assert node.neighbours("F1", "FRIEND") == ["cmdr-c"]
    finally:
        node.close()


def test_a_node_that_is_killed_on_the_way_agrees(tmp_path: Path) -> None:
    """Promises 1 and 2 across kill -9: what was acknowledged takes effect once, what was not is sent again."""
    check_while_killing(tmp_path, write_collection(tmp_path / "journal.jsonl", {"s": busy_session()}), kills=2)


@pytest.mark.sample_data
@needs_sample_data
@pytest.mark.parametrize("name", JOURNALS)
def test_real_journals_agree_across_kills(tmp_path: Path, name: str) -> None:
    """The same with real sessions."""
    check_while_killing(tmp_path, Path(SAMPLE_DATA, "elite-journals", f"{name}.jsonl"), kills=1)


@pytest.fixture(scope="module")
def twitch() -> ModuleType:
    """The script `examples/twitch_friends.py`."""
    spec = importlib.util.spec_from_file_location("twitch_friends", TWITCH_SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_edges(path: Path, edges: list[tuple[int, int]]) -> Path:
    path.write_text("from,to\n" + "".join(f"{one},{other}\n" for one, other in edges), "utf-8")
    return path


def test_friends_of_friends_are_those_of_plain_python(
    tmp_path: Path, twitch: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also for a player whose friends take more than one update, and when the file is loaded twice."""
    edges = [(0, n) for n in range(1, 600)] + [(n, n + 1000) for n in range(1, 600)] + [(5, 6), (7, 7)]
    path = write_edges(tmp_path / "edges.csv", edges)
    arguments = [str(path), "--data", str(tmp_path / "data"), "--players", "5"]
    assert twitch.main(arguments) == 0
    assert twitch.main(arguments) == 0
    assert "agree" in capsys.readouterr().out
    assert twitch.friends_of_friends(twitch.read_friends(path), "1001") == ["0"]


def test_a_graph_that_differs_is_noticed(tmp_path: Path, twitch: ModuleType) -> None:
    """An edge too many in the graph shows."""
    data = tmp_path / "data"
    path = write_edges(tmp_path / "edges.csv", [(1, 2), (2, 3)])
    assert twitch.main([str(path), "--data", str(data)]) == 0
    node = playerstate.open(data, schema=twitch.SCHEMA)
    try:
        twitch.load(node, {"3": {"4"}}, "another")
        assert not twitch.compare(node, twitch.read_friends(path), ["2", "1"])
    finally:
        node.close()


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "from,to\n1\n", "from,to\n1,\n"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, twitch: ModuleType, text: str) -> None:
    """Before anything is sent."""
    path = tmp_path / "edges.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"edges\.csv"):
        twitch.read_friends(path)


@pytest.mark.sample_data
@needs_sample_data
@pytest.mark.parametrize("name", ["ENGB"])
def test_real_friendships(tmp_path: Path, twitch: ModuleType, name: str) -> None:
    """7,126 players and 35,324 friendships."""
    path = Path(SAMPLE_DATA, "twitch-musae", f"{name}_edges.csv")
    assert twitch.main([str(path), "--data", str(tmp_path / "data"), "--players", "50"]) == 0
