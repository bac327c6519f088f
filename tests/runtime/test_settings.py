"""Settings: the file, what is wrong in it, and what holds then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import asdict

from playerstate import settings
from playerstate.errors import StartRefused
from playerstate.settings import (
    FILE,
    Alarms,
    Retention,
    Settings,
    SettingsFile,
    Verification,
    parse_settings,
    thresholds,
)


def write(folder: Path, text: str) -> None:
    """Write the file, so that it is seen to be another one however coarse the clock of the disk is."""
    path = folder / FILE
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    """And so has what the file does not say."""
    file = SettingsFile(tmp_path)
    assert file.current() == Settings()
    assert not any(setting.is_set for setting in file.told().settings.values())
    write(tmp_path, "[retention]\ndead_letters_days = 3\n")
    assert file.current() == Settings(retention=Retention(dead_letters_days=3.0))


def test_it_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    """Also when it comes to be, or goes."""
    file = SettingsFile(tmp_path)
    write(tmp_path, "[verification]\nenabled = false\n")
    assert file.current().verification == Verification(enabled=False)
    write(tmp_path, "[retention]\nstream_hours = 1.5\n")
    assert file.current() == Settings(retention=Retention(stream_hours=1.5))
    (tmp_path / FILE).unlink()
    assert file.current() == Settings()


def test_what_was_set_is_told(tmp_path: Path) -> None:
    """Every setting by its name, with what is in force, its default, and whether the file says it."""
    write(tmp_path, "[retention]\nhistory_days = 365\nstream_hours = 2\n")
    told = SettingsFile(tmp_path).told()
    assert {name for name, setting in told.settings.items() if setting.is_set} == {
        "retention.history_days",
        "retention.stream_hours",
    }
    hours = told.settings["retention.stream_hours"]
    assert (hours.value, hours.default, told.problem) == (2.0, 24.0, "")
    sections = (Verification, Retention, Alarms)
    assert len(told.settings) == sum(len(section.__struct_fields__) for section in sections)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[retention]\nhistory_days = -1", "`float` > 0.0 - at `$.retention.history_days`"),
        ("[retention]\nhistory_days = 0", "> 0.0"),
        ("[retention]\nhistory_days = nan", "> 0.0"),
        ("[retention]\nhistory_days = inf", "<= 36500.0"),
        ("[retention]\nhistory_bytes_max = 5", ">= 1000000"),
        ("[retention]\nhistory_bytes_max = 1.5e9", "Expected `int`"),
        ("[retention]\nstream_hours = '24'", "Expected `float`, got `str`"),
        ("[retention]\nstream_hours = true", "got `bool`"),
        ("[retention]\nletters_days = 3", "unknown field `letters_days`"),
        ("[retentoin]\nhistory_days = 3", "unknown field `retentoin`"),
        ("retention = 3", "Expected `object`"),
        ("[verification]\nsweep_share = 1.5", "<= 1.0"),
        ("[verification]\nsample_keys = -1", ">= 0"),
        ("[verification]\nsample_every_s = 0", "> 0.0"),
        ("[verification\n", "at line 1"),
        ("[alarms]\nfindings_open = inf", "`float` <= 1e+18 - at `$.alarms.findings_open`"),
        ("[alarms]\nfindings_open = nan", ">= 0.0"),
        ("[alarms]\nfindings_open = -1", ">= 0.0"),
    ],
)
def test_nonsense_is_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    """What is wrong, and where, in the text and in the file that holds it."""
    with pytest.raises(StartRefused, match="The settings are wrong") as caught:
        parse_settings(text)
    assert reason in str(caught.value)
    write(tmp_path, text)
    with pytest.raises(StartRefused) as caught:
        SettingsFile(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)
    assert reason in str(caught.value)


def test_nobody_is_alarmed_over_what_nobody_looks_at() -> None:
    """With verification switched off it does not idle, and what it left open would be an alarm for ever."""
    text = "[alarms]\nfindings_open = 3\n"
    assert thresholds(parse_settings(text)) == {**asdict(Alarms()), "findings_open": 3}
    off = thresholds(parse_settings(text + "[verification]\nenabled = false\n"))
    assert off == {**asdict(Alarms()), "findings_open": 0, "verification_idle_s": 0}


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Like any other that cannot be read."""
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(StartRefused, match="cannot be read"):
        SettingsFile(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(StartRefused, match="cannot be read"):
        SettingsFile(tmp_path)


def test_a_wrong_one_later_keeps_what_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is warned of once, and told, until it is right again."""
    said: list[str] = []
    monkeypatch.setattr(settings.log, "warning", lambda event, **_: said.append(event), raising=False)
    write(tmp_path, "[retention]\nhistory_days = 900\n")
    file = SettingsFile(tmp_path)
    write(tmp_path, "[retention]\nhistory_days = -900\n")
    for _ in range(3):
        assert file.current().retention.history_days == 900
    assert said == ["the settings cannot be read; what they said last holds"]
    told = file.told()
    assert "history_days" in told.problem
    assert (told.settings["retention.history_days"].value, told.settings["retention.history_days"].is_set) == (
        900,
        True,
    )
    write(tmp_path, "[retention]\nhistory_days = 30\n")
    assert (file.current().retention.history_days, file.told().problem) == (30, "")


def test_a_process_that_starts_meanwhile_has_what_held(tmp_path: Path) -> None:
    """A worker that is started again must not delete by the defaults what its node keeps for longer."""
    write(tmp_path, "nonsense")
    in_force = Settings(retention=Retention(history_days=900))
    file = SettingsFile(tmp_path, otherwise=in_force)
    assert file.current() == in_force
    write(tmp_path, "[retention]\nhistory_days = 30\n")
    assert file.current() == Settings(retention=Retention(history_days=30))
