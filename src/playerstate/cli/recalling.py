"""What a player's values were at a time, worked out from the history."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from playerstate.api import PlayerState
from playerstate.cli.progress import progress
from playerstate.core.history import HistoryPage
from playerstate.core.model import Transition
from playerstate.core.rebuild import Rebuild, Rebuilt
from playerstate.core.schema import Schema
from playerstate.core.version_vector import parse_vector

PAGE = 1_000
NOT_ASKED = "it was not asked"


class Recalled(msgspec.Struct, frozen=True):
    """Every key of which there is something to say. `begins` are, of keys of which nothing is known until then, the
    first writes that are known. `unknown` are keys that have a history, and that the schema does not have.
    """

    player_id: str
    at: int
    keys: dict[str, Rebuilt]
    begins: dict[str, Transition]
    not_read: dict[str, str]
    unknown: list[str]
    schema: Schema


def recall(
    node: PlayerState, player_id: str, state_key: str | None, at: int, *, everywhere: bool, as_json: bool
) -> Recalled:
    """Read everything that was written until then; and, of keys that had not been written, what came after it."""
    schema = node.schema
    rebuilds: dict[str, Rebuild] = {}
    begins: dict[str, Transition] = {}
    unknown: set[str] = set()
    not_read: dict[str, str] = {}
    complete_since: dict[str, int] = {}
    named: set[str] = set()
    seen = 0
    with progress("reading the history", as_json=as_json, unit="writes") as (advance, _):
        for since, before in ((None, at + 1), (at + 1, None)):
            if state_key in rebuilds:
                break
            for page in _pages(node, player_id, state_key, since, before, everywhere=everywhere):
                not_read |= page.not_read
                complete_since |= page.complete_since
                for transition in page.transitions:
                    name = transition.state_key
                    named |= parse_vector(transition.version).keys()
                    if name not in schema.keys:
                        unknown.add(name)
                    elif since is None:
                        rebuilds.setdefault(name, Rebuild(schema.keys[name])).add(transition)
                    elif name not in rebuilds:
                        begins[name] = transition  # the latest come first, so the first one stays
                seen += len(page.transitions)
                advance(seen, None, seen)
    if not everywhere:
        not_read |= dict.fromkeys(sorted(named - complete_since.keys()), NOT_ASKED)
    keys = {
        name: rebuild.result(not_read=not_read, complete_since=complete_since)
        for name, rebuild in sorted(rebuilds.items())
    }
    if state_key is not None and state_key not in keys:
        keys[state_key] = Rebuild(schema.keys[state_key]).result()
    return Recalled(player_id, at, keys, begins, not_read, sorted(unknown), schema)


def _pages(
    node: PlayerState, player_id: str, state_key: str | None, since: int | None, before: int | None, *, everywhere: bool
) -> Iterator[HistoryPage]:
    while True:
        page = node.history(player_id, state_key, since=since, before=before, limit=PAGE, everywhere=everywhere)
        yield page
        if (before := page.before) is None:
            return
