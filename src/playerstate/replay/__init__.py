"""Replay of recorded traffic.

`format` is the port that a recording's format implements, `run` sends a recording and compares what came of
it.
"""

from playerstate.replay.format import (
    Intervals,
    PlainResult,
    ReplayFormat,
    Source,
    UnknownFormat,
    find_format,
    identity_of,
    load_formats,
)
from playerstate.replay.run import ReplayReport, replay

__all__ = [
    "Intervals",
    "PlainResult",
    "ReplayFormat",
    "ReplayReport",
    "Source",
    "UnknownFormat",
    "find_format",
    "identity_of",
    "load_formats",
    "replay",
]
