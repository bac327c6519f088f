"""Findings: where what should agree does not, and what became of it."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from playerstate.core.model import Key


class Kind(StrEnum):
    """How something stands to the store. All but `LAGGING` are findings."""

    LAGGING = "lagging"
    """An older version, as is to be expected for a while."""
    STALE = "stale"
    """An older version that has been stuck for too long."""
    MISSING = "missing"
    """Nothing, where something is claimed to be, or has to be by now."""
    DIVERGED = "diverged"
    """The same version, and something else."""
    ORPHAN = "orphan"
    """Something of which the store has nothing."""
    AHEAD = "ahead"
    """A version that the store does not contain."""
    OVERSPENT = "overspent"
    """A value below its minimum: a region was retired that had spent what its heir did not know of."""


class Repair(StrEnum):
    """What became of a finding."""

    REPAIRED = "repaired"
    GONE = "gone"
    """It had changed by itself when it was about to be repaired."""
    FAILED = "failed"
    """The part did not take the repair; it is found again, and tried again."""
    LEFT = "left"
    """Nothing was done: repairing is switched off, or it cannot be told what is right."""


FINDINGS_MAX = 100_000
"""How many findings are kept, however young they are."""

OPEN = (Repair.LEFT, Repair.FAILED)
"""What became of findings that are still there."""

VERIFIER = "@verify"
"""The producer of the causes of rows that are written once more, numbered by their steps. They are no updates."""

CACHE, GRAPH, STORE = "cache", "graph", "store"
"""Places; another region's copies are at `copies_in(region)`."""


def copies_in(region: str) -> str:
    """The place of the copies that another region holds of this region's rows."""
    return f"region:{region}"


class Finding(msgspec.Struct, frozen=True):
    """A disagreement that was confirmed, and recorded once. It holds versions and no values.

    `place` is where it was found: `cache`, `graph`, `store`, or `region:NAME` for another region's copy of this
    region's row. Times are in ms: when it was `first_seen_at`, and when it was confirmed, `found_at`, and put right,
    `repaired_at`. `expected` and `found` are versions (in the graph: totals); `detail` says what is wrong in words.
    """

    finding_id: str
    region: str
    place: str
    kind: Kind
    player_id: str
    state_key: str
    expected: str
    found: str
    first_seen_at: int
    found_at: int
    detail: str = ""
    repair: Repair = Repair.LEFT
    repaired_at: int = 0

    @property
    def key(self) -> Key:
        """The key that it is about."""
        return Key(self.player_id, self.state_key)


def finding_id(found_at: int, place: str, key: Key) -> str:
    """An id that sorts by the time (ms) at which something was found; the same finding has the same one."""
    digest = hashlib.sha256(f"{place}\0{key.player_id}\0{key.state_key}".encode()).hexdigest()
    return f"{first_id_at(found_at)}-{digest[:12]}"


def printable(text: str) -> str:
    """What was found somewhere, as text that can be recorded, whatever bytes it was."""
    return text.encode("utf-8", "backslashreplace").decode()


def first_id_at(found_at: int) -> str:
    """What sorts before the ids of all findings from a time (ms) on, and behind those from before it."""
    return f"{max(found_at, 0):015d}"
