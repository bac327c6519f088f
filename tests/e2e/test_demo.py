"""The demo and the bench, whole: what they say is so, and what is wrong is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import playerstate
from playerstate.cli.common import ExitCode
from playerstate.cli.demonstrating import run as run_demo_command
from playerstate.cli.main import run
from playerstate.core.model import Key, View
from playerstate.service import Parts
from playerstate.workload.compare import PLACES
from playerstate.workload.demo import DemoOptions

SMALL = DemoOptions(seconds=3.0, players=50, rate_per_s=200)
TINY = DemoOptions(seconds=0.5, players=20, rate_per_s=200)
GOLD = Key("player-00001", "gold")


def last_line(capsysbinary: pytest.CaptureFixture[bytes]) -> dict[str, Any]:
    return msgspec.json.decode(capsysbinary.readouterr().out.splitlines()[-1])


def test_a_demo_compares_all_that_was_sent(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Everything that was sent is where it must be, once; repeats changed nothing; the exit code says so."""
    arguments = ["demo", "--json", "--seconds", "3", "--players", "50", "--rate", "200"]
    assert run(arguments) == ExitCode.DONE
    report = last_line(capsysbinary)
    assert report["ok"]
    assert report["drained"]
    assert report["sent"] > 0
    assert report["repeats"] == report["outcomes"].get("duplicate", 0) + report["outcomes"].get("expired", 0)
    places = report["comparison"]["places"]
    assert places.keys() == set(PLACES)
    assert all(tally["compared"] > 0 for tally in places.values())
    assert places["outcomes"]["compared"] == report["sent"] + report["repeats"]
    assert report["comparison"]["findings"] == []


def test_a_demo_without_a_terminal_prints_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    """No control characters where nobody can see what they do."""
    assert run_demo_command(SMALL, None, as_json=False) == ExitCode.DONE
    said = capsys.readouterr()
    assert "Everything is where it must be, once." in said.out
    assert "sent" in said.err
    assert "\x1b" not in said.out + said.err


def _lose_a_field(parts: Parts) -> None:
    parts.cache.clear()


def _change_a_value(parts: Parts) -> None:
    held = parts.cache.get_player(GOLD.player_id).views[GOLD.state_key]
    parts.cache.replace([View(*GOLD, held.version, msgspec.Raw(b"-1"))])


@pytest.mark.parametrize(("tamper", "kind"), [(_lose_a_field, "missing"), (_change_a_value, "different")])
def test_a_cache_that_was_tampered_with_is_found(
    tamper: Any, kind: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The comparison reads the cache as it is, and repairs nothing on the way."""
    assert run_demo_command(TINY, None, as_json=True, before_compare=tamper) == ExitCode.REFUSED
    report = last_line(capsysbinary)
    assert not report["ok"]
    assert report["comparison"]["places"]["cache"][kind] > 0
    assert report["comparison"]["places"]["store"] == {
        "compared": report["comparison"]["places"]["store"]["compared"],
        "missing": 0,
        "doubled": 0,
        "different": 0,
    }


def test_an_interrupt_ends_the_sending_early(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Ctrl-C, and the summary comes all the same."""
    seen = 0

    def see(_self: object, _glimpse: object) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("playerstate.cli.demo_view.Lines.see", see)
    options = DemoOptions(seconds=600.0, players=20, rate_per_s=100)
    assert run_demo_command(options, None, as_json=True) == ExitCode.DONE
    report = last_line(capsysbinary)
    assert report["interrupted"]
    assert report["ok"]


def test_a_demo_keeps_a_folder_of_its_own(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """With --data the folder stays and can be opened; a folder that has something in it is refused."""
    folder = tmp_path / "kept"
    assert run_demo_command(TINY, folder, as_json=True) == ExitCode.DONE
    sent = last_line(capsysbinary)["sent"]
    with playerstate.open(folder) as node:
        assert sent > 0
        assert node.get_player(GOLD.player_id)
    assert run_demo_command(TINY, folder, as_json=True) == ExitCode.USAGE


@pytest.mark.parametrize("arguments", [[], ["--distinct"]])
def test_the_bench_prints_its_figures(arguments: list[str], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The last line is an object with the figures that matter, and they are figures."""
    assert run(["bench", "--seconds", "0.5", "--json", *arguments]) == ExitCode.DONE
    report = last_line(capsysbinary)
    for name in ("updates_per_second", "freshness_ms_p50", "freshness_ms_p99", "update_bytes_mean"):
        assert report[name] > 0
    assert {"accept", "apply", "project", "link", "audit"} <= report["throughput"]["cpu_us_per_update"].keys()
    assert report["reads"]["ratio"] > 0
    assert report["row_bytes"].keys() == {"gold", "rank", "friends (30)"}
    assert all(0 < size < 1024 for size in report["row_bytes"].values())
    if arguments:
        assert report["throughput"]["updates_per_row_write"] == pytest.approx(1.0)


def test_a_node_that_has_halted_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """What has halted will not finish: the demo says so, and ends long before its patience does."""
    monkeypatch.setattr("playerstate.service.Service.drain", lambda _self, *, timeout_s: False)
    monkeypatch.setattr("playerstate.node.Node.alive", False)
    monkeypatch.setattr("playerstate.workload.demo.DRAIN_S", 3600.0)
    assert run_demo_command(TINY, None, as_json=True) == ExitCode.REFUSED
    report = last_line(capsysbinary)
    assert not report["drained"]
    assert "not everything had taken effect" in report["problems"][0]
