"""Where a node's logs go when its program has not said so."""

from __future__ import annotations

import sys

import structlog


def log_to_stderr() -> None:
    """Send structured logs to standard error, unless the program has configured them. Standard output is not ours."""
    if not structlog.is_configured():
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
