"""Replay of recorded traffic.

`format` is the port that a recording's format implements, `run` sends a recording through a node and compares what came
of it, `spread` through several regions at once.
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
from playerstate.replay.spread import SpreadReport, replay_spread

__all__ = [
    "Intervals",
    "PlainResult",
    "ReplayFormat",
    "ReplayReport",
    "Source",
    "SpreadReport",
    "UnknownFormat",
    "find_format",
    "identity_of",
    "load_formats",
    "replay",
    "replay_spread",
]
