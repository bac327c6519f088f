"""What can be set for a node beside its game's schema: `settings.toml` in the data folder, read anew when it changes.

    [verification]
    sample_keys = 100

    [retention]
    dead_letters_days = 14

What the file does not say has its default. The classes here are the list of all settings, with units at the end of the
names.
"""

from __future__ import annotations

import threading
import tomllib
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import structlog
from msgspec import Meta
from msgspec.structs import asdict, replace

from playerstate.core.answers import SettingsTold, SettingTold
from playerstate.core.findings import CACHE, GRAPH
from playerstate.errors import StartRefused

FILE = "settings.toml"

log = structlog.get_logger(__name__)

Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=86_400)]
Days: TypeAlias = Annotated[float, Meta(gt=0, le=36_500)]


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a node checks what it has.

    Every `sample_every_s` it compares so many random keys as `sample_keys` says, each of the store, the cache and the
    graph. Beside that it walks through everything, in no more than `sweep_share` of one core's time. Something older
    than the store is stale once it has been stuck for `*_stale_after_s`; until then it lags. `repair` says whether what
    is found is put right.
    """

    enabled: bool = True
    repair: bool = True
    sample_every_s: Seconds = 5.0
    sample_keys: Annotated[int, Meta(ge=0, le=100_000)] = 100
    sweep_share: Annotated[float, Meta(ge=0, le=1)] = 0.1
    cache_stale_after_s: Seconds = 15.0
    graph_stale_after_s: Seconds = 30.0
    region_stale_after_s: Seconds = 300.0

    def stale_after_s(self, place: str) -> float:
        """How long something may be stuck in a place."""
        by_place = {CACHE: self.cache_stale_after_s, GRAPH: self.graph_stale_after_s}
        return by_place.get(place, self.region_stale_after_s)


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long things are kept, and how much of them: whichever is reached first.

    What a stage has still to process is kept in any case.
    """

    history_days: Days = 365.0
    history_bytes_max: Annotated[int, Meta(ge=1_000_000)] = 50_000_000_000
    findings_days: Days = 365.0
    dead_letters_days: Days = 14.0
    stream_hours: Annotated[float, Meta(gt=0, le=876_000)] = 24.0


Threshold: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]
"""Where an alarm fires; 0 switches it off, and not infinity, which can hardly be meant."""


class Alarms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where alarms fire, see `core.rules`: at these values and beyond them, or, of what is free, at these and below.

    At 0 an alarm is switched off.
    """

    stage_halted: Threshold = 1
    stage_stuck_s: Threshold = 60
    stage_failing_s: Threshold = 30
    stage_lag_inputs: Threshold = 50_000
    findings_open: Threshold = 1
    findings_per_10_min: Threshold = 1
    verification_shed_per_min: Threshold = 1_000
    verification_idle_s: Threshold = 120
    dead_letters: Threshold = 1
    dead_letters_per_10_min: Threshold = 10
    dead_letters_oldest_days: Threshold = 7
    rights_refused_per_min: Threshold = 100
    conflicts_per_min: Threshold = 1_000
    way_stuck_s: Threshold = 60
    way_lag_changes: Threshold = 100_000
    clock_skew_s: Threshold = 5
    disk_free_share: Threshold = 0.05
    disk_free_bytes: Threshold = 1_000_000_000
    cache_restarts_per_10_min: Threshold = 1
    worker_restarts_per_10_min: Threshold = 1
    untrimmed_s: Threshold = 300


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings."""

    verification: Verification = Verification()
    retention: Retention = Retention()
    alarms: Alarms = Alarms()


def parse_settings(text: str) -> Settings:
    """Read the text of a settings file. Raises `StartRefused`, saying what is wrong and where."""
    try:
        return msgspec.convert(tomllib.loads(text), Settings, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise StartRefused(f"The settings are wrong: {exc}") from exc


def thresholds(settings: Settings) -> dict[str, float]:
    """Where alarms fire, by name.

    Verification that is switched off is not idle, and what it found last stays open only because nobody looks again.
    """
    if settings.verification.enabled:
        return asdict(settings.alarms)
    return asdict(replace(settings.alarms, verification_idle_s=0, findings_open=0))


class SettingsFile:
    """The settings of a data folder. Any thread may ask for them.

    Raises `StartRefused` if they cannot be read, unless it is given what holds `otherwise`.
    """

    def __init__(self, folder: Path, otherwise: Settings | None = None) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._problem = ""
        self._given: set[str] = set()
        self._settings = otherwise or Settings()
        if otherwise is None:
            self._read()
        else:
            self._read_if_right()

    def current(self) -> Settings:
        """What the file says now, or said last where it cannot be read now."""
        with self._lock:
            if self._stamp() != self._seen:
                self._read_if_right()
            return self._settings

    def told(self) -> SettingsTold:
        """What is in force, setting by setting, and which of it was set."""
        settings = self.current()
        with self._lock:
            return SettingsTold(
                {
                    name: SettingTold(value, default, name in self._given)
                    for (name, value), default in zip(_flat(settings), dict(_flat(Settings())).values(), strict=True)
                },
                self._problem,
            )

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            about = self._path.stat()
        except OSError:
            return None
        return about.st_mtime_ns, about.st_ino, about.st_size

    def _read_if_right(self) -> None:
        try:
            self._read()
        except StartRefused as exc:
            self._problem = str(exc)
            log.warning("the settings cannot be read; what they said last holds", error=str(exc))

    def _read(self) -> None:
        self._seen = self._stamp()
        try:
            text = self._path.read_text("utf-8")
            settings = parse_settings(text)
        except FileNotFoundError:
            text, settings = "", Settings()
        except (OSError, UnicodeDecodeError) as exc:
            raise StartRefused(f"{self._path} cannot be read: {exc}") from exc
        except StartRefused as exc:
            raise StartRefused(f"{self._path}: {exc}") from exc
        given = tomllib.loads(text)
        self._given = {f"{section}.{name}" for section, values in given.items() for name in values}
        self._settings, self._problem = settings, ""


def _flat(settings: Settings) -> list[tuple[str, bool | int | float]]:
    """All settings by `section.name`, in their order."""
    sections = msgspec.to_builtins(settings)
    return [(f"{section}.{name}", value) for section, values in sections.items() for name, value in values.items()]
