"""Trials on real processes: short ones pass, damage is found, and nothing is left running."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.cli import trying
from playerstate.cli.common import ExitCode
from playerstate.cli.main import run
from playerstate.core.model import View
from playerstate.trials.readers import cache_url
from playerstate.trials.report import TrialOptions
from playerstate.trials.run import REGIONS, Trials

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are inflicted through /proc and prlimit")

ONE = TrialOptions(rounds=1, seed=3, regions=2)


def processes_of(folder: Path) -> list[str]:
    """The command lines that name a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def holds_rows(store: Path) -> bool:
    """Whether anything has been applied here."""
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT 1 FROM rows LIMIT 1").fetchall())
    except sqlite3.OperationalError:  # there is no such file, or no such table yet
        return False


def last_line(capsysbinary: pytest.CaptureFixture[bytes]) -> dict[str, Any]:
    return msgspec.json.decode(capsysbinary.readouterr().out.splitlines()[-1])


def test_short_trials_keep_the_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Promises 1 to 6, 9 and 11, on real processes under faults; what was started is gone, and so is the folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run(["chaos", "--real", "--rounds", "2", "--seed", "4", "--json"]) == ExitCode.DONE
    report = last_line(capsysbinary)
    assert report["ok"]
    assert report["violations"] == []
    assert report["folder"] is None
    assert [one["number"] for one in report["rounds"]] == [1, 2]
    for one in report["rounds"]:
        assert one["faults"]
        assert one["acknowledged"] > one["applied"] > 0
        assert one["reads"] > 0
        assert one["settled_s"] is not None
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def _delete_a_row(trials: Trials) -> None:
    """A player's gold, from one region's store."""
    store = trials.processes[REGIONS[1]].folder / "store.db"
    with closing(sqlite3.connect(store)) as connection, connection:
        gone = connection.execute("DELETE FROM rows WHERE player_id = 'ada-1' AND range_key LIKE 'gold#%'").rowcount
    assert gone > 0


def _change_a_cached_value(trials: Trials) -> None:
    """A player's gold, in one region's cache."""
    with closing(ValkeyCache.open(cache_url(trials.processes[REGIONS[1]].cache_socket()))) as cache:
        held = cache.get_player("ada-1").views["gold"]
        cache.replace([View("ada-1", "gold", held.version, msgspec.Raw(b"123456789"))])


@pytest.mark.parametrize(("damage", "found"), [(_delete_a_row, "converged"), (_change_a_cached_value, "cache_in_step")])
def test_damage_is_found(damage: Any, found: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The reckoning reads what is there; the exit code says so, and the folder is kept with a report."""
    folder = tmp_path / "trials"
    assert trying.run(folder, ONE, as_json=True, before_reckoning=damage) == ExitCode.REFUSED
    report = last_line(capsysbinary)
    assert not report["ok"]
    assert any(found in violation for violation in report["violations"])
    assert report["folder"] == str(folder)
    assert msgspec.json.decode((folder / trying.REPORT_FILE).read_bytes())["violations"] == report["violations"]
    assert (folder / REGIONS[0] / "store.db").exists()
    assert processes_of(folder) == []


def test_an_interrupt_leaves_nothing_running(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a round: every process that was started is ended, and the summary comes."""
    folder = tmp_path / "trials"
    command = [sys.executable, "-m", "playerstate.cli.main", "chaos", "--real", "--rounds", "1000", "--regions", "2"]
    trials = subprocess.Popen([*command, "--data", str(folder), "--json"], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not all(holds_rows(folder / region / "store.db") for region in REGIONS[:2]):
        assert time.monotonic() < deadline, "no traffic"
        time.sleep(0.05)
    assert processes_of(folder)
    trials.send_signal(signal.SIGINT)
    out, _ = trials.communicate(timeout=90)
    assert trials.returncode == ExitCode.DONE
    assert msgspec.json.decode(out)["interrupted"]
    assert processes_of(folder) == []


def test_a_folder_that_holds_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of anybody's is broken."""
    (tmp_path / "precious").write_text("mine")
    assert run(["chaos", "--real", "--data", str(tmp_path)]) == ExitCode.USAGE
    assert "not empty" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["precious"]
