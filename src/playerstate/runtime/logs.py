"""Where a node's logs go when its program has not said so."""

from __future__ import annotations

import logging
import sys

import structlog


def log_to_stderr() -> None:
    """Send structured logs to standard error, unless the program has configured them. Standard output is not ours."""
    if not structlog.is_configured():
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
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whichever it is when something is logged
        )
