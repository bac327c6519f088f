"""Settings for people, and as data."""

from __future__ import annotations

from playerstate.cli import console
from playerstate.core.answers import SettingsTold

COLUMNS = ["setting", "in force", "default", ""]


def show_settings(told: SettingsTold, *, as_json: bool) -> None:
    """Every setting; on standard error, why the file is not what is in force, if it is not."""
    if as_json:
        console.document(told)
        return
    rows = [
        [name, _text(setting.value), _text(setting.default), "set" if setting.is_set else ""]
        for name, setting in told.settings.items()
    ]
    console.table(COLUMNS, rows)
    if told.problem:
        console.note(f"settings.toml is wrong, and what it said last holds: {told.problem}")


def _text(value: bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,}"
