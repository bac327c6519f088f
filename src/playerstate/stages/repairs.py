"""Repairs: a confirmed difference -> the part that was wrong, by the way that everything goes.

    difference -> [read the store again] -> cache, graph: replace or delete, if what was found is still there,
                                        |   and offer what has been written meanwhile
                                        -> store: this region writes its row once more

What another region holds wrongly is put right by the region that writes the row: nobody writes what is another's, and
what is repaired travels as everything does.
"""

from __future__ import annotations

from contextlib import suppress

from playerstate.core.comparison import Difference, Wrong, targets_of
from playerstate.core.findings import CACHE, GRAPH, STORE, VERIFIER, Kind, Repair, copies_in
from playerstate.core.images import Images
from playerstate.core.model import Cause, Effect, Key, Status
from playerstate.core.replica import Replica
from playerstate.core.schema import Schema
from playerstate.core.snapshots import Copy
from playerstate.core.version_vector import parse_vector, total
from playerstate.errors import InvariantViolated, NotNow, OutcomeUnknown
from playerstate.ports.clock import Clock
from playerstate.ports.graph import EdgesOfKey
from playerstate.stages.blame import Blame, Held
from playerstate.stages.stored import StoredPlayer, copy_of, read_player
from playerstate.stages.verify import Verified

GONE = Repair.GONE, "it had changed when it was about to be put right"
UNREADABLE = Repair.LEFT, "the store cannot be read"


class Repairs:
    """Puts right what was found, in one region. Each repair is made on condition, and may be tried again."""

    def __init__(self, schema: Schema, region: str, parts: Verified, clock: Clock) -> None:
        self._schema = schema
        self._region = region
        self._parts = parts
        self._clock = clock
        self._images = Images(schema, kept_max=0)
        self._blame = Blame(region, self._images, parts.audit)

    def repair(self, difference: Difference) -> tuple[Repair, str]:
        """Put it right, if it is still there; what became of it, and why if it is not repaired."""
        try:
            if difference.place == CACHE:
                return self._repair_cache(difference)
            if difference.place == GRAPH:
                return self._repair_graph(difference)
            if difference.kind is Kind.OVERSPENT:
                return Repair.LEFT, "what is lacking has to be added by somebody who knows who bears it"
            return self._write_anew(difference)
        except (NotNow, OutcomeUnknown) as exc:
            return Repair.FAILED, f"a part did not answer ({type(exc).__name__})"

    def _read(self, player_id: str) -> StoredPlayer:
        return read_player(self._parts.store, self._images, self._schema, self._region, player_id)

    def _repair_cache(self, difference: Difference) -> tuple[Repair, str]:
        key, stored = difference.key, self._read(difference.key.player_id)
        if key.state_key in stored.unknown:
            return UNREADABLE
        done = self._parts.cache.repair(key, difference.found, stored.views.get(key.state_key))
        # What was written since the store was read may have been refused already, as older than what was wrong there.
        newer = self._read(key.player_id).views.get(key.state_key) if done else None
        if newer is not None:
            self._parts.cache.put([newer])
        return _done(done)

    def _repair_graph(self, difference: Difference) -> tuple[Repair, str]:
        key, stored = difference.key, self._read(difference.key.player_id)
        if key.state_key in stored.unknown:
            return UNREADABLE
        done = self._parts.graph.repair(key, int(difference.found), self._edges(key, stored))
        newer = self._edges(key, self._read(key.player_id)) if done else None  # as in the cache
        if newer is not None:
            self._parts.graph.sync([newer])
        return _done(done)

    def _edges(self, key: Key, stored: StoredPlayer) -> EdgesOfKey | None:
        view, spec = stored.views.get(key.state_key), self._schema.keys.get(key.state_key)
        if view is None or spec is None or spec.edge is None:
            return None
        return EdgesOfKey(view.key, spec.edge, total(parse_vector(view.version)), targets_of(spec, view.value))

    def _write_anew(self, difference: Difference) -> tuple[Repair, str]:
        key = difference.key
        if difference.kind is Kind.AHEAD:
            return Repair.LEFT, "a copy that is ahead of its region may be the last trace of what that has lost"
        if waits_for := self._parts.waits_for():
            return Repair.LEFT, f"this region may not write: {waits_for}"
        held = self._held(key.player_id)
        if difference.place not in (STORE, *held):
            return Repair.FAILED, "the other region does not answer"
        bodies = self._parts.store.load([key])[key]
        if self._region not in bodies:
            return Repair.LEFT, "the row is not this region's"
        own, copy = copy_of(bodies[self._region]), held.get(difference.place, {}).get(key.state_key)
        if copy == own or (difference.expected and own.version != difference.expected):
            return GONE
        wrong, right = self._blame.which(key, own, held)
        is_no_row = copy is not None and not copy.version
        if difference.kind is Kind.DIVERGED and wrong is Wrong.UNKNOWN and not is_no_row:
            return Repair.LEFT, "it cannot be told what is right"
        try:
            rows = {
                region: self._images.read(key.state_key, body).row
                for region, body in {**bodies, self._region: right}.items()
            }
        except InvariantViolated:
            return Repair.LEFT, "another region's row cannot be read here, and that region has to write it once more"
        now = self._clock.now_ms()
        replica = Replica(
            key, self._schema.keys[key.state_key], self._schema.version, self._region, rows, bodies[self._region]
        )
        n = replica.next_step
        replica.take_step(replica.state, Cause(n, VERIFIER, n, now, now, [Effect("write_anew")], Status.APPLIED))
        done = self._parts.store.commit([[replica.write_joined(now)]])[0]
        if not done and self._parts.store.load([key])[key] == bodies:  # its version is not that of the right row
            return Repair.LEFT, "what is held elsewhere is older than the row that was lost"
        return _done(done)

    def _held(self, player_id: str) -> Held:
        """The copies in those of the other regions that answer."""
        held: dict[str, dict[str, Copy]] = {}
        for other in self._parts.copies():
            with suppress(NotNow, InvariantViolated):
                (rows,) = other.load([player_id])
                held[copies_in(other.region)] = {name: copy_of(body) for name, body in rows.items()}
        return held


def _done(done: bool) -> tuple[Repair, str]:
    return (Repair.REPAIRED, "") if done else GONE
