"""Several regions on one machine, with real parts: what one accepts, all come to show, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import playerstate
from e2e.program import run
from e2e.served import Served
from playerstate.api import PlayerState
from playerstate.core.answers import Accepted
from playerstate.core.model import Key, Outcome, Status
from playerstate.core.wire import read_row_head
from playerstate.deployment import Deployment, Region
from playerstate.errors import StartRefused, Unavailable
from playerstate.node import Node, Options
from playerstate.regions import Regions, set_way
from playerstate.runtime import applying
from playerstate.runtime.replication import LinkSettings, link_name

NAMES = ["us-east-1", "eu-west-1", "ap-northeast-1"]
US, EU, AP = NAMES
THREADS = Options(workers="thread")
LIMIT_S = 30.0


def update(*ops: tuple[str, str, str, dict[str, Any]], **rest: Any) -> dict[str, Any]:
    """An update of `(player, key, op, arguments)`."""
    return {"ops": [{"player_id": p, "state_key": k, "op": op, **given} for p, k, op, given in ops], **rest}


def gold(n: int, op: str = "add", *, player: str = "ada", **rest: Any) -> dict[str, Any]:
    return update((player, "gold", op, {"n": n}), **rest)


def outcome(node: PlayerState, sent: dict[str, Any]) -> Outcome:
    """Send, and wait for what becomes of it."""
    answer = node.send(sent)
    assert isinstance(answer, Accepted), answer
    found = node.outcome(answer.identity, wait_s=LIMIT_S)
    assert found is not None
    return found


def wait_for(node: PlayerState, amount: int) -> None:
    """Until a region shows so much gold of ada's."""
    deadline = time.monotonic() + LIMIT_S
    while (seen := node.get("ada", "gold").decoded()) != amount:
        assert time.monotonic() < deadline, f"{seen} instead of {amount}"
        time.sleep(0.02)


def shown(regions: Regions, player: str = "ada") -> dict[str, dict[str, tuple[str, Any]]]:
    """What each region's readers see of a player, with versions."""
    return {
        name: {key: (view.version, view.decoded()) for key, view in node.service.get_player(player).items()}
        for name, node in regions.nodes.items()
    }


def agreed(regions: Regions, player: str = "ada") -> dict[str, Any]:
    """What all regions show of a player once nothing moves any more."""
    assert regions.settle(timeout_s=LIMIT_S), {name: node.stats() for name, node in regions.nodes.items()}
    first, *others = shown(regions, player).values()
    assert all(other == first for other in others)
    return {key: value for key, (_, value) in first.items()}


@pytest.fixture
def regions(tmp_path: Path) -> Iterator[Regions]:
    with Regions(tmp_path / "world", NAMES, options=THREADS) as made:
        yield made


def test_what_one_region_accepts_all_come_to_show(regions: Regions) -> None:
    """Promise 3: concurrent updates of one player add up, everywhere, in store, cache and graph."""
    for number, node in enumerate(regions.nodes.values()):
        node.service.send(gold(10**number))
        node.service.send(update(("ada", "friends", "add", {"elements": [f"friend-{number}"]})))
    state = agreed(regions)
    assert (state["gold"], state["friends"]) == (111, ["friend-0", "friend-1", "friend-2"])
    for node in regions.nodes.values():
        assert node.service.neighbours("ada", "FRIEND") == ["friend-0", "friend-1", "friend-2"]


def test_a_conflict_is_on_record(regions: Regions) -> None:
    """What each side had and what came of it stands in the history of the region that joined, once."""
    regions.cut(US, EU)
    for name, value in ((US, "east"), (EU, "west")):
        assert outcome(regions[name].service, update(("ada", "guild", "set", {"value": value}))).status == "applied"
    regions.heal(US, EU)
    assert agreed(regions)["guild"] == "west"
    records = [
        transition
        for node in regions.nodes.values()
        for transition in node.service.history("ada", "guild", everywhere=False).transitions
        if transition.sides
    ]
    (record,) = records
    assert record.region == min(US, EU)
    assert {(side.region, side.value) for side in record.sides} == {(US, '"east"'), (EU, '"west"')}
    assert (bytes(record.after), record.causes) == (b'"west"', [])


def test_the_same_gold_is_not_spent_twice(regions: Regions) -> None:
    """Promise 4: during a partition only one region can spend it; afterwards the other gets what is wanted and left."""
    us, eu = regions[US].service, regions[EU].service
    assert outcome(us, gold(100)).status is Status.APPLIED
    agreed(regions)
    regions.cut(US, EU)
    regions.cut(AP, EU)
    assert outcome(us, gold(60, "subtract")).status is Status.APPLIED
    refused = outcome(eu, gold(60, "subtract"))
    assert (refused.status, refused.reason) == (Status.REFUSED, "rights_elsewhere")
    regions.heal(US, EU)
    regions.heal(AP, EU)
    assert agreed(regions)["gold"] == 40
    assert outcome(eu, gold(60, "subtract")).reason == "insufficient"
    assert outcome(eu, gold(40, "subtract")).status is Status.APPLIED
    assert agreed(regions)["gold"] == 0


def test_a_trade_during_a_partition(regions: Regions) -> None:
    """Promise 5: both sides of it, or neither; and the sum over the players never changes."""
    us = regions[US].service
    us.send(gold(50))
    us.send(update(("bob", "inventory", "add", {"item": "sword", "n": 1})))
    agreed(regions)
    regions.cut(US, EU)
    trade = [("ada", "gold", "subtract", {"n": 30}), ("bob", "gold", "add", {"n": 30})]
    goods = [("bob", "inventory", "subtract", {"item": "sword", "n": 1})]
    goods += [("ada", "inventory", "add", {"item": "sword", "n": 1})]
    assert outcome(us, update(*trade, *goods)).status is Status.APPLIED
    assert outcome(us, update(*trade, *goods)).reason == "insufficient"
    regions.heal(US, EU)
    ada, bob = agreed(regions, "ada"), agreed(regions, "bob")
    assert (ada["gold"], ada["inventory"], bob["gold"], bob["inventory"]) == (20, {"sword": 1}, 30, {})


def test_a_repeat_in_another_region_is_one(regions: Regions) -> None:
    """Promise 2: once rows have replicated, a producer that fails over may repeat what it is not sure of."""
    sent = gold(5, producer="server", sequence=1, sent_at=time.time_ns() // 1_000_000)
    assert outcome(regions[US].service, sent).status is Status.APPLIED
    agreed(regions)
    assert outcome(regions[EU].service, sent).status is Status.APPLIED
    assert agreed(regions)["gold"] == 5


@pytest.mark.parametrize("workers", ["thread", "process"])
def test_what_is_under_way_survives_a_stop(tmp_path: Path, workers: Any) -> None:
    """Changes that a link has held back, and those behind a cut, come after a restart; nothing comes twice."""
    options = Options(workers=workers)
    with Regions(tmp_path, NAMES[:2], options=options) as regions:
        regions[US].service.send(gold(1))
        agreed(regions)
        regions.every_way(LinkSettings(lag_ms=60_000, jitter_ms=1000))
        for n in range(20):
            regions[US].service.send(gold(1, player=f"p{n % 3}"))
        assert regions[US].service.drain(timeout_s=LIMIT_S)
        assert regions[EU].service.get("p0", "gold").version == ""
    Deployment(tmp_path).change(lambda plan: plan.with_way(US, EU, LinkSettings(cut=True)))
    with Regions(tmp_path, options=options) as regions:
        assert regions[EU].service.get("p0", "gold").version == ""
        regions.every_way(LinkSettings())
        assert [agreed(regions, f"p{n}")["gold"] for n in range(3)] == [7, 7, 6]


def test_traffic_over_ways_that_lag_jitter_and_break(regions: Regions) -> None:
    """Promises 2, 3 and 4 under load: the end is the sum of what was answered applied."""
    regions.every_way(LinkSettings(lag_ms=30, jitter_ms=60))
    players = [f"p{n}" for n in range(4)]
    applied: list[tuple[str, int]] = []
    lock = threading.Lock()

    def play(name: str) -> None:
        service = regions[name].service
        for n in range(120):
            player = players[n % 4]
            sent = gold(7) if n % 2 else gold(5, "subtract")
            sent["ops"][0]["player_id"] = player
            if outcome(service, sent).status is Status.APPLIED:
                with lock:
                    applied.append((player, 7 if n % 2 else -5))

    threads = [threading.Thread(target=play, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    regions.cut(US, AP)
    regions.cut(US, EU)
    regions.heal(US, AP)
    for thread in threads:
        thread.join()
    regions.heal(US, EU)
    for player in players:
        assert agreed(regions, player)["gold"] == sum(n for who, n in applied if who == player)


def test_a_node_that_is_killed_comes_back(tmp_path: Path) -> None:
    """kill -9 of one region's node with all its processes: the others go on, and it catches up."""
    Deployment.make(tmp_path, NAMES[:2])
    us, eu = Served(tmp_path / US), Served(tmp_path / EU)
    try:
        for n in range(3):
            with us.connect() as node:
                assert outcome(node, gold(10)).status is Status.APPLIED
            us.kill(everything=True)
            with eu.connect() as other, us.connect() as node:
                assert outcome(other, gold(1)).status is Status.APPLIED
                assert outcome(node, gold(10)).status is Status.APPLIED
                for one in (other, node):
                    wait_for(one, 21 * (n + 1))
    finally:
        us.stop()
        eu.stop()


def test_a_region_that_joins_later_gets_everything(tmp_path: Path) -> None:
    """It begins with a copy of what the others hold, also of what they have let go of as changes."""
    with Regions(tmp_path, NAMES[:2], options=THREADS) as regions:
        for n in range(10):
            regions[US].service.send(gold(n, player=f"p{n}"))
        assert regions.settle(timeout_s=LIMIT_S)
        changes = regions[US].parts.changes
        changes.trim(changes.head() - 1)
    with Regions(tmp_path, [AP], options=THREADS) as regions:
        assert list(regions.nodes) == [US, EU, AP]
        assert [agreed(regions, f"p{n}")["gold"] for n in range(10)] == list(range(10))


def test_changes_are_kept_for_a_region_that_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And let go of when it has taken them; in a region without updates of its own too."""
    monkeypatch.setattr(applying, "KEPT_AFTER_USE", 5)
    monkeypatch.setattr(applying, "TRIM_AT_ONCE", 5)
    with Regions(tmp_path, NAMES[:2], options=THREADS) as regions:
        us, eu = regions[US], regions[EU]
        assert outcome(us.service, gold(1)).status is Status.APPLIED
        agreed(regions)
        carried = eu.parts.checkpoints.load(link_name(US, EU))
        regions.cut(US, EU)
        for _ in range(60):
            assert outcome(us.service, gold(1)).status is Status.APPLIED
        assert us.service.drain(timeout_s=LIMIT_S)
        assert us.parts.changes.read(0, 1)[0].position <= carried + 1
        regions.heal(US, EU)
        agreed(regions)
        deadline = time.monotonic() + LIMIT_S
        while any(node.parts.changes.read(0, 1)[0].position < 2 for node in (us, eu)):
            assert time.monotonic() < deadline, "nothing is let go of"
            assert outcome(us.service, gold(1)).status is Status.APPLIED
        assert agreed(regions)["gold"] > 60


def test_an_update_stands_on_all_that_has_come(regions: Regions) -> None:
    """Apply keeps rows in memory, and not beyond the arrival of others: what it writes contains them."""
    key = Key("ada", "gold")
    assert outcome(regions[US].service, gold(1)).status is Status.APPLIED
    assert outcome(regions[AP].service, gold(2)).status is Status.APPLIED
    agreed(regions)
    assert outcome(regions[US].service, gold(4)).status is Status.APPLIED
    (rows,) = regions[US].parts.store.load([key]).values()
    assert read_row_head(rows[US]).vector.get(AP) == 1


def test_a_skewed_clock(regions: Regions) -> None:
    """A clock that is wrong by minutes, and jumps, costs nothing but what its own time decides."""
    regions.deployment.change(lambda plan: plan.with_region(EU, Region(EU, clock_skew_ms=-120_000)))
    for name in NAMES:
        assert outcome(regions[name].service, gold(1)).status is Status.APPLIED
    regions.deployment.change(lambda plan: plan.with_region(EU, Region(EU, clock_skew_ms=90_000)))
    for name in NAMES:
        assert outcome(regions[name].service, gold(1)).status is Status.APPLIED
    assert agreed(regions)["gold"] == 6


def test_a_region_opened_alone_belongs_to_its_deployment(tmp_path: Path) -> None:
    """A command on one region's folder opens it with its neighbours: what they have written arrives."""
    with Regions(tmp_path, NAMES[:2], options=THREADS) as regions:
        regions[US].service.send(gold(5))
        assert regions[US].service.drain(timeout_s=LIMIT_S)
        regions.cut(US, EU)
        regions[US].service.send(gold(5))
        assert regions[US].service.drain(timeout_s=LIMIT_S)
    set_way(Deployment(tmp_path), US, EU, cut=False)
    with playerstate.open(tmp_path / EU, options=THREADS) as eu:
        wait_for(eu, 10)


def test_a_store_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    """Dots are handed out once: neither another region's store nor an empty one in its place is served."""
    with Regions(tmp_path, NAMES[:2], options=THREADS) as regions:
        regions[US].service.send(gold(5))
        assert regions.settle(timeout_s=LIMIT_S)
    own = tmp_path / US / "store.db"
    kept = own.read_bytes()
    own.write_bytes((tmp_path / EU / "store.db").read_bytes())
    with pytest.raises(StartRefused, match=r"store\.db is eu-west-1, not the store of us-east-1"):
        Node(tmp_path / US, options=THREADS)
    own.unlink()
    with pytest.raises(StartRefused, match="not the store of us-east-1"):
        Node(tmp_path / US, options=THREADS)
    own.unlink()
    own.write_bytes(kept)
    with Node(tmp_path / US, options=THREADS) as node:
        assert node.service.get("ada", "gold").decoded() == 5


@pytest.mark.parametrize("name", ["", "a,b", "a#b", "a:b", "../x", "a" * 64])
def test_names_that_cannot_be_a_regions(tmp_path: Path, name: str) -> None:
    """They stand in versions and in the names of folders."""
    with pytest.raises(StartRefused, match="is no region"):
        Deployment.make(tmp_path / "world", [US, name])


def test_a_single_regions_folder_is_no_deployment(tmp_path: Path) -> None:
    """And a command that needs one region says which there are."""
    with Node(tmp_path / "one", options=THREADS):
        pass
    with pytest.raises(StartRefused, match="data folder of one region"):
        Regions(tmp_path / "one", NAMES)
    Deployment.make(tmp_path / "world", NAMES)
    said = run("get", "ada", "--data", str(tmp_path / "world"))
    assert said.code == 3
    assert f"--data {tmp_path / 'world' / US}" in said.err


def test_serve_and_region(tmp_path: Path) -> None:
    """All regions under one `serve`; the ways between them are changed while it runs, and told of."""
    data = tmp_path / "world"
    clients = contextlib.ExitStack()
    served = Served(data, "--regions", ",".join(NAMES[:2]))
    try:
        us, eu = clients.enter_context(served.connect(US)), clients.enter_context(served.connect(EU))
        told = run("region", "list", "--data", str(data), "--json").document()
        assert [(one["region"], one["state"]) for one in told["regions"]] == [(US, "running"), (EU, "running")]
        assert run("region", "cut", US, EU, "--data", str(data)).code == 0
        assert outcome(us, gold(5)).status is Status.APPLIED
        assert outcome(eu, gold(7)).status is Status.APPLIED
        assert eu.get("ada", "gold").decoded() == 7
        assert run("region", "lag", US, EU, "--ms", "50", "--jitter-ms", "20", "--data", str(data)).code == 0
        assert run("region", "heal", US, EU, "--data", str(data)).code == 0
        wait_for(eu, 12)
        told = run("region", "list", "--data", str(data), "--json").document()
        assert told["ways"][f"{US}>{EU}"] == {"lag_ms": 50, "jitter_ms": 20, "cut": False}
        refused = run("region", "retire", US, "--by", EU, "--yes", "--data", str(data))
        assert (refused.code, "us-east-1 runs" in refused.err) == (1, True)
        unknown = run("region", "cut", US, "mars", "--data", str(data))
        assert (unknown.code, "There is no region 'mars'" in unknown.err) == (3, True)
    finally:
        clients.close()
        assert served.stop() == 0


def test_what_is_no_deployment(tmp_path: Path) -> None:
    """Looking makes nothing."""
    for command in (["list"], ["add", US], ["cut", US, EU], ["retire", US, "--by", EU, "--yes"]):
        said = run("region", *command, "--data", str(tmp_path / "nothing"))
        assert (said.code, "There is no deployment" in said.err) == (3, True)
    assert not (tmp_path / "nothing").exists()


def test_what_it_had_spent_last_is_known_before_its_rights_are_taken_over(tmp_path: Path) -> None:
    """Promise 4: the heir of a region whose folder can be read spends nothing that it had spent."""
    with Regions(tmp_path, NAMES[:2], options=THREADS) as regions:
        assert outcome(regions[US].service, gold(100)).status is Status.APPLIED
        agreed(regions)
        regions.every_way(LinkSettings(lag_ms=3_600_000))
        assert outcome(regions[US].service, gold(100, "subtract")).status is Status.APPLIED
    assert run("region", "retire", US, "--by", EU, "--yes", "--data", str(tmp_path)).code == 0
    with Regions(tmp_path, options=THREADS) as regions:
        assert outcome(regions[EU].service, gold(100, "subtract")).status is Status.REFUSED
        wait_for(regions[EU].service, 0)
        assert outcome(regions[EU].service, gold(1, "subtract")).reason == "insufficient"


def test_what_is_lost_is_not_waited_for(tmp_path: Path) -> None:
    """A region whose store cannot be read is retired as lost, when somebody says so."""
    with Regions(tmp_path, NAMES[:2], options=THREADS) as regions:
        assert outcome(regions[US].service, gold(100)).status is Status.APPLIED
        agreed(regions)
    for file in (tmp_path / US).glob("store.db*"):
        file.write_bytes(b"no database at all" * 100)
    arguments = ("region", "retire", US, "--by", EU, "--yes", "--data", str(tmp_path))
    refused = run(*arguments)
    assert (refused.code, "retire it with --lost" in refused.err) == (1, True)
    assert Deployment(tmp_path).plan().retired() == frozenset()
    assert run(*arguments, "--lost").code == 0
    with Regions(tmp_path, options=THREADS) as regions:
        assert outcome(regions[EU].service, gold(100, "subtract")).status is Status.APPLIED


def test_an_heir_that_has_never_run_knows_nothing_yet(tmp_path: Path) -> None:
    """It is told so before anything is changed, and brings everything when it runs."""
    with Regions(tmp_path, NAMES[:1], options=THREADS) as regions:
        assert outcome(regions[US].service, gold(9)).status is Status.APPLIED
    Deployment.make(tmp_path, NAMES[:2])
    said = run("region", "retire", US, "--by", EU, "--yes", "--data", str(tmp_path), "--json")
    assert (said.code, said.document()["rows_not_yet_brought"]) == (0, 1)
    with Regions(tmp_path, options=THREADS) as regions:
        wait_for(regions[EU].service, 9)
        assert outcome(regions[EU].service, gold(9, "subtract")).status is Status.APPLIED


def test_a_region_that_finds_itself_retired_stops(tmp_path: Path) -> None:
    """It takes no further step, and its node says that it is over."""
    with Regions(tmp_path, NAMES[:2], options=THREADS) as regions:
        us = regions[US].service
        assert outcome(us, gold(100)).status is Status.APPLIED
        regions.deployment.change(lambda plan: plan.with_retired(US, by=EU, at=1))
        deadline = time.monotonic() + LIMIT_S
        while regions.alive:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        answer = us.send(gold(100, "subtract"))
        assert isinstance(answer, Accepted)
        assert us.outcome(answer.identity, wait_s=0.3) is None
        assert "retired" in us.stats().stages["apply"].last_error


def test_a_folder_that_was_lost_does_not_begin_anew(tmp_path: Path) -> None:
    """Its dots have been handed out. Neither an empty folder nor another one is served under its name."""
    with Regions(tmp_path, NAMES[:2], options=THREADS) as regions:
        assert outcome(regions[US].service, gold(100)).status is Status.APPLIED
        agreed(regions)
    shutil.move(tmp_path / US, tmp_path / "lost")
    for _ in range(2):
        with pytest.raises(StartRefused, match="is not the folder in which us-east-1 has run"):
            Regions(tmp_path, options=THREADS)
        with pytest.raises(StartRefused, match="is no region's folder in it"):
            Node(tmp_path / "lost", options=THREADS)
        shutil.copytree(
            tmp_path / EU, tmp_path / US, ignore=shutil.ignore_patterns("*.sock", "*.bell"), dirs_exist_ok=True
        )
    shutil.rmtree(tmp_path / US)
    shutil.move(tmp_path / "lost", tmp_path / US)
    with Regions(tmp_path, options=THREADS) as regions:
        assert agreed(regions)["gold"] == 100


def test_what_could_not_be_started_is_not_waited_for(tmp_path: Path) -> None:
    """A `serve` that is refused adds no region to the deployment."""
    with Regions(tmp_path, NAMES[:2], options=THREADS):
        with pytest.raises(StartRefused):
            Regions(tmp_path, [EU, AP], options=THREADS)
        assert list(Deployment(tmp_path).plan().regions) == [US, EU]


@pytest.mark.parametrize("workers", ["thread", "process"])
def test_the_deployments_file_away_for_a_moment(tmp_path: Path, workers: Any) -> None:
    """What it said last holds: updates are taken and applied, and the figures go on."""
    with Regions(tmp_path, NAMES[:2], options=Options(workers=workers)) as regions:
        us = regions[US].service
        assert outcome(us, gold(1)).status is Status.APPLIED
        file = tmp_path / "deployment.json"
        for damaged in (None, b"{", b""):
            kept = file.read_bytes()
            file.unlink()
            if damaged is not None:
                file.write_bytes(damaged)
            for _ in range(5):
                assert outcome(us, gold(1)).status is Status.APPLIED
            file.write_bytes(kept)
        applied = 16
        deadline = time.monotonic() + LIMIT_S
        while us.stats().stages["apply"].processed < applied:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert regions.alive
        assert agreed(regions)["gold"] == applied


def test_a_retired_region_is_not_served_again(tmp_path: Path) -> None:
    """Its name is fenced; what it had left is brought to the others from its folder."""
    with Regions(tmp_path, NAMES, options=THREADS) as regions:
        regions[US].service.send(gold(5))
        assert regions.settle(timeout_s=LIMIT_S)
        regions.cut(US, EU)
        regions.cut(US, AP)
        regions[US].service.send(gold(6))
        assert regions[US].service.drain(timeout_s=LIMIT_S)
    said = run("region", "retire", US, "--by", EU, "--yes", "--data", str(tmp_path), "--json").document()
    assert said == {"retired": US, "by": EU, "rows_not_yet_brought": 1}
    with pytest.raises(StartRefused, match="us-east-1 is retired; eu-west-1 has taken over its rights"):
        Node(tmp_path / US, options=THREADS)
    with pytest.raises(StartRefused, match="is retired"):
        Regions(tmp_path, NAMES, options=THREADS)
    assert run("region", "retire", US, "--by", AP, "--yes", "--data", str(tmp_path)).code == 1
    for one in (EU, AP):
        set_way(Deployment(tmp_path), US, one, cut=False)
    with Regions(tmp_path, options=THREADS) as regions:
        assert list(regions.nodes) == [EU, AP]
        wait_for(regions[AP].service, 11)
        assert agreed(regions)["gold"] == 11


def test_a_deployment_whose_file_is_damaged_is_refused(tmp_path: Path) -> None:
    """By name."""
    Deployment.make(tmp_path, NAMES)
    (tmp_path / "deployment.json").write_text("{")
    with pytest.raises(StartRefused, match=r"deployment\.json cannot be read"):
        Regions(tmp_path, options=THREADS)
    with pytest.raises((StartRefused, Unavailable)):
        Deployment(tmp_path).folder_of(US)
