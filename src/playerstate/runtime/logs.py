"""Where a node's logs go, in every one of its processes: to standard error, as lines for people or as JSON.

Tracebacks are logged without the values of local variables, and errors without the words of other packages, both of
which may be players' data.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from typing import NamedTuple

import structlog

from playerstate.errors import PlayerStateError, described


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
            sys.stderr.write(f"{message}\n")  # at once, or lines of several processes would run into one another
            sys.stderr.flush()

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
        rendering: structlog.typing.Processor = structlog.processors.JSONRenderer()
    else:
        rendering = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_traceback_of),
            rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[style.level.upper()]),
        logger_factory=stderr_logger,
    )


def _traceback_of(exc_info: structlog.typing.ExcInfo) -> str:
    """Where it happened and what kind of error it was, and before that the errors that led to it."""
    lines: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        here = [*traceback.format_tb(error.__traceback__), f"{_named(error)}\n"]
        lines = here + lines
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "".join(lines).rstrip()


def _named(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name}: {described(error)}" if isinstance(error, PlayerStateError) else name


def log_to_stderr() -> None:
    """Log in the usual style, unless the program that runs the node has said where its logs go."""
    if not structlog.is_configured():
        configure_logging(LogStyle())
