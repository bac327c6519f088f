"""What a player's values were at a time, worked out from the history."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from playerstate.api import PlayerState
from playerstate.cli.progress import progress
from playerstate.core.history import HistoryPage
from playerstate.core.model import Transition
from playerstate.core.rebuild import How, Rebuild, Rebuilt
from playerstate.core.schema import Schema
from playerstate.core.steps import Range
from playerstate.core.version_vector import VersionVector, covers, parse_vector

PAGE = 1_000
NOT_ASKED = "it was not asked"


class Recalled(msgspec.Struct, frozen=True):
    """Every key of which there is something to say. `begins` are, of keys of which nothing is known until then, the
    first writes that are known. `behind` are steps of which the store knows, and that come after all that the history
    tells of; of `lost` keys it tells nothing, though they may have been written. Later writes of the regions
    in `joined_later` may be in a value that is not a sum. `unknown` are keys that have a
    history, and that the schema does not have.
    """

    player_id: str
    at: int
    keys: dict[str, Rebuilt]
    begins: dict[str, Transition]
    behind: dict[str, dict[str, list[Range]]]
    joined_later: dict[str, list[str]]
    lost: set[str]
    not_read: dict[str, str]
    unknown: list[str]
    schema: Schema


class _Read:
    """What was read of a player's history: of each key what was written until a time, and all of it."""

    def __init__(self, schema: Schema, at: int) -> None:
        self.schema = schema
        self.at = at
        self.until: dict[str, Rebuild] = {}
        self.all: dict[str, Rebuild] = {}
        self.begins: dict[str, Transition] = {}
        self.wrote_later: dict[tuple[str, str], VersionVector] = {}
        self.unknown: set[str] = set()
        self.named: set[str] = set()
        self.not_read: dict[str, str] = {}
        self.complete_since: dict[str, int] = {}
        self.present: dict[str, str] | None = None

    def add(self, page: HistoryPage) -> None:
        self.not_read |= page.not_read
        self.complete_since |= page.complete_since
        self.present = page.present if self.present is None else self.present
        for transition in page.transitions:
            name = transition.state_key
            vector = parse_vector(transition.version)
            self.named |= vector.keys()
            if name not in self.schema.keys:
                self.unknown.add(name)
                continue
            self._of(self.all, name).add(transition)
            if transition.written_at <= self.at:
                self._of(self.until, name).add(transition)
            else:
                self.wrote_later[name, transition.region] = vector  # the latest come first, so the first one stays
                self.begins[name] = transition

    def behind(self, name: str) -> dict[str, list[Range]]:
        """What is not known to have been written after the time: a region records its writes in their order."""
        version = (self.present or {}).get(name, "")
        gaps = self._of(self.all, name).behind(version, self.complete_since)
        return {region: gap for region, gap in gaps.items() if (name, region) not in self.wrote_later}

    def joined_later(self, name: str, found: Rebuilt) -> list[str]:
        """Regions whose later writes may be in the value that a last write is told with: it is told with what others
        had written when it was projected, but for what contains it.
        """
        if found.how not in (How.LAST, How.DIFFERED):
            return []
        last = [(one.region, parse_vector(one.version)) for one in found.last]
        later = [(region, vector) for (key, region), vector in self.wrote_later.items() if key == name]
        beside = {r for r, vector in later if any(r != region and not covers(vector, of) for region, of in last)}
        return sorted(beside)

    def _of(self, rebuilds: dict[str, Rebuild], name: str) -> Rebuild:
        return rebuilds.setdefault(name, Rebuild(self.schema.keys[name]))


def recall(
    node: PlayerState, player_id: str, state_key: str | None, at: int, *, everywhere: bool, as_json: bool
) -> Recalled:
    """Read everything that was written until then; and what came after it, to know whether that is everything."""
    schema = node.schema
    read = _Read(schema, at)
    seen = 0
    with progress("reading the history", as_json=as_json, unit="writes") as (advance, _):
        for since, before in ((at + 1, None), (None, at + 1)):
            for page in _pages(node, player_id, state_key, since, before, everywhere=everywhere):
                read.add(page)
                seen += len(page.transitions)
                advance(seen, None, seen)
    asked = {state_key} if state_key is not None else set()
    present = {name for name in read.present or {} if state_key in (None, name) and name in schema.keys}
    behind = {name: gaps for name in sorted(read.all.keys() | present | asked) if (gaps := read.behind(name))}
    if not everywhere:
        named = read.named.union(*(gaps.keys() for gaps in behind.values()))
        read.not_read |= dict.fromkeys(sorted(named - read.complete_since.keys()), NOT_ASKED)
    told = sorted(read.until.keys() | behind.keys() | asked)
    keys = {
        name: read.until.get(name, Rebuild(schema.keys[name])).result(
            not_read=read.not_read, complete_since=read.complete_since
        )
        for name in told
    }
    begins = {name: first for name, first in read.begins.items() if name not in read.until}
    let_go = read.present is None and any(read.complete_since.values())
    silent = {name for name in told if name not in read.until and name not in begins}
    lost = {name for name in silent if let_go or name in behind}
    later = {name: regions for name, found in keys.items() if (regions := read.joined_later(name, found))}
    return Recalled(player_id, at, keys, begins, behind, later, lost, read.not_read, sorted(read.unknown), schema)


def _pages(
    node: PlayerState, player_id: str, state_key: str | None, since: int | None, before: int | None, *, everywhere: bool
) -> Iterator[HistoryPage]:
    while True:
        page = node.history(player_id, state_key, since=since, before=before, limit=PAGE, everywhere=everywhere)
        yield page
        if (before := page.before) is None:
            return
