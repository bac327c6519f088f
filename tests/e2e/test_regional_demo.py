"""`demo --regions`, whole: the story comes out as it must, the counts are checked, and a planted loss is found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import playerstate
from playerstate.cli.common import ExitCode
from playerstate.cli.demonstrating import run_regions
from playerstate.cli.main import run
from playerstate.core.model import Key
from playerstate.workload.compare import Seen
from playerstate.workload.reconcile import RegionRead
from playerstate.workload.regional_demo import RegionalOptions

TINY = RegionalOptions(regions=2, seconds=0.5, players=20, rate_per_s=100)
GOLD = Key("ada", "gold")


def test_the_story_of_three_regions(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Promises 3, 4 and 5, told: all regions end with the same, no update is lost, no gold spent twice; where the last
    writer wins, updates are."""
    assert run(["demo", "--regions", "3", "--seconds", "3", "--json"]) == ExitCode.DONE
    report = msgspec.json.decode(capsysbinary.readouterr().out)
    assert report["ok"]
    assert report["regions"] == ["us-east-1", "eu-west-1", "ap-northeast-1"]
    told = [line for scene in report["scenes"] for line in scene["told"] if isinstance(line, str)]
    assert any(line.startswith("ap-northeast-1, cut off, is asked for the same: refused") for line in told)
    assert any('us-east-1 had "online"' in line for line in told)
    shown = report["scenes"][-1]["told"][-1]["regions"]
    assert len({msgspec.json.encode(values) for values in shown.values()}) == 1
    assert report["ended"]["ada/gold"][0] == 333 - 200 + 50 - 120
    assert report["ended"]["bob/inventory"][0] == {"sword": 1}
    ours, theirs = report["ours"], report["last_writer_wins"]
    assert ours["sent"] == theirs["sent"] > report["load"]["sent"] > 0
    assert (ours["lost"], ours["gold_gone"], ours["gold_spent_twice"]) == (0, 0, 0)
    assert ours["applied"] == ours["outcomes"]["applied"] > 0
    assert theirs["lost"] > 0


def _lose_a_write(read: dict[str, RegionRead]) -> None:
    """What another region added is overwritten in one of them."""
    region = read["eu-west-1"]
    region.store[GOLD] = region.cache[GOLD] = Seen(region.store[GOLD].version, 3)


def test_a_planted_loss_is_found_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The count is a check: an update that one region has lost makes it fail. The data can be kept and looked at."""
    folder = tmp_path / "kept"
    assert run_regions(TINY, folder, as_json=False, before_check=_lose_a_write) == ExitCode.REFUSED
    said = capsys.readouterr()
    assert "wrong: ada/gold is" in said.out
    assert "NOT everything is as it must be." in said.out
    assert "Lost by playerstate: 0." not in said.out
    assert "\x1b" not in said.out + said.err
    with playerstate.open(folder / "eu-west-1") as node:
        assert node.get(*GOLD).version
    assert run_regions(TINY, folder, as_json=False) == ExitCode.USAGE
