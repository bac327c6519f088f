"""Promise 9 across regions, with real parts: each node tells what all of them wrote, and what it could not read."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.program import run
from e2e.test_regions import AP, EU, LIMIT_S, NAMES, THREADS, US, agreed, gold, outcome, update
from playerstate.client import find_node
from playerstate.core.history import HistoryPage
from playerstate.core.model import Transition
from playerstate.core.rebuild import How, Rebuild
from playerstate.deployment import Deployment
from playerstate.node import Node
from playerstate.regions import Regions


def whole(node: Any, player: str, key: str | None = None, **asked: Any) -> list[Transition]:
    """All of a history, a page at a time."""
    found, before = [], None
    while True:
        page = node.history(player, key, before=before, limit=2, **asked)
        found += page.transitions
        before = page.before
        if before is None:
            return found


def written_by(page: HistoryPage) -> set[str]:
    return {transition.region for transition in page.transitions}


def test_each_region_tells_what_all_wrote(tmp_path: Path) -> None:
    """The same, and enough to rebuild what they show; alone, each tells what it wrote itself."""
    with Regions(tmp_path / "world", NAMES, options=THREADS) as regions:
        for number, node in enumerate(regions.nodes.values(), 1):
            for sequence in range(1, 4):
                node.service.send(gold(number * 10, producer=f"shop-{number}", sequence=sequence))
            node.service.send(update(("ada", "inventory", "add", {"item": "ore", "n": number})))
        state = agreed(regions)
        assert (state["gold"], state["inventory"]) == (180, {"ore": 6})
        told = {name: whole(node.service, "ada") for name, node in regions.nodes.items()}
        assert told[US] == told[EU] == told[AP]
        for key in ("gold", "inventory"):
            rebuild = Rebuild(regions[US].schema.keys[key])
            rebuild.add_all([transition for transition in told[EU] if transition.state_key == key])
            found = rebuild.result()
            assert (found.how, found.value, found.missing) == (How.SUMMED, state[key], {})
        for name, node in regions.nodes.items():
            page = node.service.history("ada", everywhere=False)
            assert (written_by(page), page.not_read) == ({name}, {})
            remote = find_node(tmp_path / "world" / name)
            assert remote is not None
            asked: dict[str, Any] = {"producer": "shop-2", "outcome": "applied", "limit": 1}
            assert remote.history("ada", "gold", **asked) == node.service.history("ada", "gold", **asked)
            assert {t.region for t in whole(remote, "ada", producer="shop-2")} == {EU}
            remote.close()


def test_a_region_whose_history_is_away_is_named(tmp_path: Path) -> None:
    """One that is stopped is read all the same; one whose history is not there, or is spoilt, is named with the reason;
    and when it comes back it is read.
    """
    world = tmp_path / "world"
    with Regions(world, NAMES, options=THREADS) as regions:
        for node in regions.nodes.values():
            node.service.send(gold(5))
        assert agreed(regions)["gold"] == 15
    with Node(world / US, options=THREADS) as node:
        page = node.service.history("ada", "gold")
        assert (written_by(page), page.not_read) == (set(NAMES), {})
    audit, spoilt = world / EU / "audit.db", world / AP / "audit.db"
    audit.rename(tmp_path / "away")
    kept = spoilt.read_bytes()
    spoilt.write_bytes(b"nonsense" * 1000)
    with Node(world / US, options=THREADS) as node:
        page = node.service.history("ada", "gold")
        assert (written_by(page), list(page.not_read)) == ({US}, [AP, EU])
        assert "audit.db" in page.not_read[EU]
        assert node.service.history("ada", "gold", everywhere=False).not_read == {}
        (tmp_path / "away").rename(audit)
        spoilt.write_bytes(kept)
        page = node.service.history("ada", "gold")
        assert (written_by(page), page.not_read) == (set(NAMES), {})


def test_of_a_retired_region_what_is_left_is_read(tmp_path: Path) -> None:
    """As long as its folder is there; then it is named. One that never ran has nothing to tell."""
    world = tmp_path / "world"
    with Regions(world, [US, EU], options=THREADS) as regions:
        for node in regions.nodes.values():
            node.service.send(gold(5))
        assert agreed(regions)["gold"] == 10
    deployment = Deployment.make(world, [AP])
    deployment.change(lambda plan: plan.with_retired(EU, by=US, at=1, lost=True))
    with Node(world / US, options=THREADS) as node:
        page = node.service.history("ada", "gold")
        assert (written_by(page), page.not_read) == ({US, EU}, {})
        shutil.rmtree(world / EU)
        page = node.service.history("ada", "gold")
        assert (written_by(page), list(page.not_read)) == ({US}, [EU])


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose player has earned 5, was refused 9, and sent the first of it again; 2 more came a moment later."""
    folder = tmp_path_factory.mktemp("lived") / "data"
    with Node(folder, options=THREADS) as node:
        first = gold(5, producer="shop", sequence=1, sent_at=time.time_ns() // 1_000_000)
        assert outcome(node.service, first).status == "applied"
        assert outcome(node.service, gold(9, "subtract", producer="shop", sequence=2)).reason == "insufficient"
        node.service.send(first)
        assert node.service.drain(timeout_s=LIMIT_S)
        last = max(delivery.judged_at for delivery in node.service.history("ada", "gold").deliveries)
        while time.time_ns() // 1_000_000 <= last + 1:
            time.sleep(0.001)
        assert outcome(node.service, gold(2, producer="bank", sequence=1)).status == "applied"
        assert node.service.drain(timeout_s=LIMIT_S)
    return folder


def test_what_came_again_is_told(lived: Path) -> None:
    """Promise 9, where known: in Python, over the command, and in an export."""
    with Node(lived, options=THREADS) as node:
        (came,) = node.service.history("ada", "gold").deliveries
        assert (came.producer, came.sequence, came.outcome.status, came.outcome.duplicate) == (
            "shop",
            1,
            "applied",
            True,
        )
        assert node.service.export("ada").deliveries == [came]
    shown = run("history", "ada", "gold", "--data", str(lived))
    assert "duplicate (applied)" in shown.out
    assert "refused: insufficient" in shown.out
    assert "0 → 5" in shown.out
    assert "5 → 7" in shown.out
    told = run("history", "ada", "gold", "--outcome", "duplicate", "--json", "--data", str(lived)).document()
    assert (told["transitions"], told["before"], told["not_read"]) == ([], None, {})
    assert [(one["producer"], one["outcome"]["duplicate"]) for one in told["deliveries"]] == [("shop", True)]


def test_the_command_takes_filters_and_times(lived: Path) -> None:
    """By outcome, producer and time; what is beyond the limit is said, and where to go on."""

    def told(*options: str) -> list[tuple[str, int]]:
        document = run("history", "ada", "gold", "--json", "--data", str(lived), *options).document()
        return [(cause["producer"], cause["sequence"]) for one in document["transitions"] for cause in one["causes"]]

    assert told() == [("bank", 1), ("shop", 2), ("shop", 1)]
    assert told("--outcome", "refused") == told("--outcome", "refused:insufficient") == [("shop", 2)]
    assert told("--producer", "bank") == [("bank", 1)]
    assert told("--since", "1w", "--until", "1d") == []
    assert told("--limit", "1", "--here") == [("bank", 1)]
    limited = run("history", "ada", "gold", "--limit", "1", "--data", str(lived))
    assert "there may be more: --until '" in limited.err
    until = limited.err.split("'")[1]
    assert told("--until", until) == [("shop", 2), ("shop", 1)]


def test_the_command_tells_what_was_at_a_time(lived: Path) -> None:
    """The value of then, and what it rests on; before anything was written, that too."""
    with Node(lived, options=THREADS) as node:
        bank, _, shop = node.service.history("ada", "gold").transitions
    between, before = str(bank.written_at - 1), str(shop.written_at - 1)
    shown = run("history", "ada", "gold", "--at", between, "--data", str(lived)).out
    assert "ada/gold was 5 at " in shown
    assert "The sum of 1 update: 0 to begin with, +5 by 1 of local." in shown
    document = run("history", "ada", "--at", str(bank.written_at), "--json", "--data", str(lived)).document()
    gold_then = document["keys"]["gold"]
    assert (gold_then["value"], gold_then["how"], gold_then["uncertain"]) == (7, "summed", [])
    assert gold_then["sums"] == {"local": {"updates": 2, "sums": {"": 7}}}
    assert [last["region"] for last in gold_then["last"]] == ["local"]
    earlier = run("history", "ada", "gold", "--at", before, "--data", str(lived)).out
    assert "had not been written by" in earlier
    wrong = run("history", "ada", "gold", "--at", before, "--outcome", "applied", "--data", str(lived))
    assert wrong.code == 2
    to_come = run("history", "ada", "gold", "--at", str(time.time_ns() // 1_000_000 + 60_000), "--data", str(lived))
    assert (to_come.code, "a time to come" in to_come.err) == (2, True)
