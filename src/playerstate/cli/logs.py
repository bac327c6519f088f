"""Structured logs on standard error: lines for people at a terminal, JSON for everything else.

Tracebacks are logged without the values of local variables, which may be players' data.
"""

from __future__ import annotations

import logging
import sys
from enum import StrEnum

import structlog

from playerstate.runtime.logs import stderr_logger


class LogLevel(StrEnum):
    """From which severity on to log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def configure_logging(level: LogLevel, *, as_json: bool = False) -> None:
    """Send the logs of this process to standard error, away from the command's results."""
    if as_json or not sys.stderr.isatty():
        rendering: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        rendering = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=stderr_logger,
    )
