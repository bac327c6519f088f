"""Where a node's logs go, in every one of its processes: to standard error, as lines for people or as JSON.

Tracebacks are logged without the values of local variables, which may be players' data.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import NamedTuple

import structlog


class LogStyle(NamedTuple):
    """From which severity on to log, and whether as JSON also where a person reads it."""

    level: str = "warning"
    as_json: bool = False

    @classmethod
    def parse(cls, text: str) -> LogStyle:
        """The style that `str` wrote."""
        level, _, form = text.partition("+")
        return cls(level, form == "json")

    def __str__(self) -> str:
        return f"{self.level}+json" if self.as_json else self.level


class StderrLogger:
    """Prints to what standard error is at the time. A log that cannot be written must not stop what it tells of."""

    def msg(self, message: str) -> None:
        """Print one line."""
        with contextlib.suppress(OSError, ValueError):
            print(message, file=sys.stderr, flush=True)  # noqa: T201 - this is what prints logs

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def stderr_logger(*_: object) -> StderrLogger:
    """The factory that structlog wants."""
    return StderrLogger()


_current = LogStyle()


def current_style() -> LogStyle:
    """How this process logs, for those that it starts."""
    return _current


def configure_logging(style: LogStyle) -> None:
    """Send the logs of this process to standard error, which leaves standard output to results."""
    global _current  # noqa: PLW0603 - there is one standard error, and structlog keeps one configuration too
    _current = style
    if style.as_json or not sys.stderr.isatty():
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
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[style.level.upper()]),
        logger_factory=stderr_logger,
    )


def log_to_stderr() -> None:
    """Log in the usual style, unless the program that runs the node has said where its logs go."""
    if not structlog.is_configured():
        configure_logging(LogStyle())
