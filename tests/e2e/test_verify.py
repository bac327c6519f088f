"""Verification in running nodes: what is planted by hand is found, and nothing else ever is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import ANY

import pytest
import redis

from e2e.program import run
from playerstate.core.findings import Kind, Repair
from playerstate.node import Node, Options
from playerstate.regions import Regions
from playerstate.settings import FILE
from playerstate.trials.planting import plants
from playerstate.trials.vigil import keep_vigil
from playerstate.trials.vigil_report import VigilOptions
from waiting import wait_until

EAGER = "[verification]\nsweep_share = 0.5\nsample_every_s = 0.5\ncache_stale_after_s = 2\n"
"""So that a test need not wait as long as an operator may."""
ADDED = {"ops": [{"player_id": "ada", "state_key": "gold", "op": "add", "n": 5}]}


def test_what_is_planted_is_found_named_and_put_right(tmp_path: Path) -> None:
    """Promise 8: in caches, graphs and stores of two regions, under load; each kind, and nothing else."""
    options = VigilOptions(seconds=4.0, rate_per_s=150, planted_each=1, settings=EAGER)
    report = keep_vigil(tmp_path, options)
    assert {one.name for one in report.planted} == {plant.name for plant in plants("a", "b")}
    assert [one for one in report.planted if not one.ok] == []
    assert (report.unexpected, report.agrees) == ([], True)


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    """Promise 8: however rows lag, and while regions are parted for longer than anything may be stuck."""
    settings = EAGER + "region_stale_after_s = 1\n"
    options = VigilOptions(seconds=10.0, rate_per_s=150, lag_ms=700, parted_s=3.0, settings=settings)
    report = keep_vigil(tmp_path, options)
    assert (report.unexpected, report.agrees) == ([], True)
    seen = report.verification["us-east-1"]
    assert seen.changes_checked > 500
    assert seen.keys_compared["region:eu-west-1"] > 0
    assert seen.not_checked["region:eu-west-1 is cut off"] > 0


@pytest.mark.parametrize("newer", [False, True], ids=["damaged", "newer"])
def test_a_neighbour_whose_store_cannot_be_read(tmp_path: Path, newer: bool) -> None:
    """Promise 8: it is no reason to stop or to look at nothing; and who asks is told that it was not compared."""
    with Regions(tmp_path, ["a", "b"], options=Options(workers="thread")):
        pass  # both have run
    store = tmp_path / "b" / "store.db"
    if newer:
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("PRAGMA user_version = 1000")
    else:
        store.write_bytes(b"x" * 8192)
    (tmp_path / "a" / FILE).write_text(EAGER, "utf-8")
    with Node(tmp_path / "a", options=Options(workers="thread")) as node:
        node.service.send(ADDED)
        assert node.service.drain(timeout_s=30)
        node.service.get_player("ada")
        with redis.Redis.from_url(node.cache_url) as cache:
            cache.hset("player:{ada}", "gold", "999")
        wait_until(lambda: node.stats().verification.findings == {"cache:diverged": 1}, "it is found")
        assert node.alive
        assert node.stats().verification.not_checked["region:b is cut off"] > 0
        told = run("verify", "--all", "--json", "--data", str(tmp_path / "a"))
        assert (told.code, told.document()["agrees"], told.document()["not_checked"]) == (3, True, ANY)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node that looks at nothing by itself, with a player who has gold, whole in the cache."""
    with Node(tmp_path / "data", options=Options(workers="thread")) as node:
        (tmp_path / "data" / FILE).write_text("[verification]\nenabled = false\n", "utf-8")
        node.service.send(ADDED)
        assert node.service.drain(timeout_s=30)
        node.service.get_player("ada")
        yield node


def test_what_project_meets_is_counted_and_alarmed(node: Node) -> None:
    """As what verification finds: in the figures, and so by metrics, and by the alarms of findings."""
    before = node.stats().verification
    with redis.Redis.from_url(node.cache_url) as cache:
        cache.hset("player:{ada}", mapping={"gold": "77", "gold#v": "zz:5"})
    node.service.send(ADDED)
    assert node.service.drain(timeout_s=30)
    seen = node.stats().verification
    assert (before.findings, seen.findings) == ({}, {f"cache:{Kind.AHEAD}": 1})
    assert seen.repairs[Repair.REPAIRED] == 1
    wait_until(lambda: "findings_new" in [alarm.name for alarm in node.service.alarms()])


def test_a_damaged_record_of_findings_ends_no_game(tmp_path: Path) -> None:
    """The node starts without it, and with it damaged while it runs, puts right what it finds."""
    folder = tmp_path / "data"
    with Node(folder, options=Options(workers="thread")):
        pass
    for one in folder.glob("findings.db*"):
        one.write_bytes(b"x" * 8192)
    (folder / FILE).write_text(EAGER, "utf-8")
    with Node(folder, options=Options(workers="thread")) as node:
        node.service.send(ADDED)
        assert node.service.drain(timeout_s=30)
        node.service.get_player("ada")
        for one in folder.glob("findings.db*"):
            one.write_bytes(b"x" * one.stat().st_size)
        with redis.Redis.from_url(node.cache_url) as cache:
            cache.hset("player:{ada}", "gold", "999")
            wait_until(lambda: cache.hget("player:{ada}", "gold") == b"5")
        wait_until(lambda: node.stats().verification.repairs.get(Repair.REPAIRED, 0) > 0)
        assert (node.alive, node.stats().stages["verify"].halted) == (True, False)
    assert len([one for one in folder.glob("findings.db.damaged-*") if one.name[-1].isdigit()]) == 1


def test_the_commands(node: Node, tmp_path: Path) -> None:
    """`verify` says by its exit code whether all agreed, changes nothing unless it may, and what it did is listed."""
    data = ("--data", str(tmp_path / "data"), "--json")
    assert run("verify", *data).document()["agrees"] is True
    with redis.Redis.from_url(node.cache_url) as cache:
        cache.hset("player:{ada}", "gold", "999")
    for arguments, repair in ((("--all", "--no-repair"), Repair.LEFT), (("--sample", "50"), Repair.REPAIRED)):
        told = run("verify", *arguments, *data)
        assert told.code == 1
        (finding,) = told.document()["findings"]
        assert (finding["place"], finding["kind"], finding["repair"]) == ("cache", Kind.DIVERGED, repair)
    assert run("verify", "--all", *data).code == 0
    assert node.service.get("ada", "gold").decoded() == 5
    (listed,) = run("findings", "ada", *data).document()["findings"]
    assert (listed["state_key"], listed["repair"]) == ("gold", Repair.REPAIRED)
    assert run("findings", "bob", *data).document()["findings"] == []
    assert run("verify", "--all", "--sample", "5", *data).code == 2
