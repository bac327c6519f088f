"""The logs of commands."""

from __future__ import annotations

from enum import StrEnum

from playerstate.runtime import logs


class LogLevel(StrEnum):
    """From which severity on to log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def configure_logging(level: LogLevel, *, as_json: bool = False) -> None:
    """Send the logs of this process, and of those that it starts, to standard error."""
    logs.configure_logging(logs.LogStyle(level.value, as_json))
