"""`serve` and a folder that somebody else holds."""

from __future__ import annotations

import signal
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from playerstate.cli import serving
from playerstate.folder import DataFolder
from playerstate.node import Options

THREADS = Options(workers="thread")


class LettingGo(SimpleQueue[int]):
    """Signals to `serve`, which looks for them while it waits: at the first look the folder is let go, at the next
    there is one. So the folder is free only after `serve` has met it held, however fast or slow either is.
    """

    def __init__(self, holder: DataFolder) -> None:
        super().__init__()
        self.looks = 0
        self._holder = holder

    def get(self, block: bool = True, timeout: float | None = None) -> int:
        self.looks += 1
        if self.looks == 1:
            self._holder.close()
            raise Empty
        return signal.SIGTERM


@pytest.fixture(autouse=True)
def _collector_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "calm_collector", lambda: None)


def test_a_folder_that_is_let_go_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that has opened the folder for a moment does not keep a node from starting."""
    signals = LettingGo(DataFolder(tmp_path / "data"))
    assert serving.run(tmp_path / "data", None, [], THREADS, signals, as_json=False)
    assert signals.looks == 2
    assert "Serving " in capsys.readouterr().out


def test_a_folder_that_is_not_let_go_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the time is over, with the reason."""
    monkeypatch.setattr(serving, "FOLDER_WAIT_S", 0.0)
    holder = DataFolder(tmp_path / "data")
    assert not serving.run(tmp_path / "data", None, [], THREADS, SimpleQueue(), as_json=False)
    holder.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert "Another node" in err


def test_waiting_can_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal that comes while it waits ends it as well as any other time."""
    monkeypatch.setattr(serving, "FOLDER_WAIT_S", 3600.0)
    holder = DataFolder(tmp_path / "data")
    signals: SimpleQueue[int] = SimpleQueue()
    signals.put(signal.SIGTERM)
    assert serving.run(tmp_path / "data", None, [], THREADS, signals, as_json=False)
    holder.close()
    assert capsys.readouterr().out == ""
