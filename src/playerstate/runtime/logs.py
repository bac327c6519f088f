"""Where a node's logs go when its program has not said so."""

from __future__ import annotations

import contextlib
import logging
import sys

import structlog


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


def log_to_stderr() -> None:
    """Send structured logs to standard error, unless the program has configured them. Standard output is not ours."""
    if structlog.is_configured():
        return
    rendering: list[structlog.typing.Processor] = [structlog.dev.ConsoleRenderer()]
    if not sys.stderr.isatty():
        rendering = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=stderr_logger,
    )
