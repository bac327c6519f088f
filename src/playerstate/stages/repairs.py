"""Repairs: a confirmed difference -> the part that was wrong, by the way that everything goes.

    difference -> [read the store again] -> cache, graph: replace or delete, if what was found is still there
                                        -> store: this region writes its row once more

What another region holds wrongly is put right by the region that writes the row: nobody writes what is another's, and
what is repaired travels as everything does.
"""

from __future__ import annotations

from playerstate.core.comparison import Difference, Wrong, targets_of
from playerstate.core.findings import CACHE, GRAPH, VERIFIER, Kind, Repair, copies_in
from playerstate.core.images import Images
from playerstate.core.model import Cause, Effect, Status
from playerstate.core.replica import Replica
from playerstate.core.schema import Schema
from playerstate.core.version_vector import parse_vector, total
from playerstate.errors import InvariantViolated, NotNow, OutcomeUnknown
from playerstate.ports.clock import Clock
from playerstate.ports.graph import EdgesOfKey
from playerstate.stages.blame import Blame
from playerstate.stages.stored import StoredPlayer, copy_of, read_player
from playerstate.stages.verify import Verified


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
        view = self._read(difference.key.player_id).views.get(difference.key.state_key)
        if view is None and difference.kind is not Kind.ORPHAN:
            return Repair.LEFT, "the store cannot be read"
        return _done(self._parts.cache.repair(difference.key, difference.found, view))

    def _repair_graph(self, difference: Difference) -> tuple[Repair, str]:
        view = self._read(difference.key.player_id).views.get(difference.key.state_key)
        spec = self._schema.keys.get(difference.key.state_key)
        edges = None
        if view is not None and spec is not None and spec.edge is not None:
            steps = total(parse_vector(view.version))
            edges = EdgesOfKey(view.key, spec.edge, steps, targets_of(spec, view.value))
        return _done(self._parts.graph.repair(difference.key, int(difference.found), edges))

    def _write_anew(self, difference: Difference) -> tuple[Repair, str]:
        key = difference.key
        if difference.kind is Kind.AHEAD:
            return Repair.LEFT, "a copy that is ahead of its region may be the last trace of what that has lost"
        held = {
            copies_in(other.region): {name: copy_of(body) for name, body in other.load([key.player_id])[0].items()}
            for other in self._parts.copies()
        }
        bodies = self._parts.store.load([key])[key]
        if self._region not in bodies:
            return Repair.LEFT, "the row is not this region's"
        wrong, right = self._blame.which(key, copy_of(bodies[self._region]), held)
        if difference.kind is Kind.DIVERGED and wrong is Wrong.UNKNOWN:
            return Repair.LEFT, "it cannot be told what is right"
        try:
            rows = {
                region: self._images.read(key.state_key, body).row
                for region, body in {**bodies, self._region: right}.items()
            }
        except InvariantViolated:
            return Repair.LEFT, "another region's row cannot be read here, and that region has to write it once more"
        now = self._clock.now_ms()
        replica = Replica(key, self._schema.keys[key.state_key], self._schema.version, self._region, rows, right)
        n = replica.next_step
        replica.take_step(replica.state, Cause(n, VERIFIER, n, now, now, [Effect("write_anew")], Status.APPLIED))
        return _done(self._parts.store.commit([[replica.write_joined(now)]])[0])


def _done(done: bool) -> tuple[Repair, str]:
    return (Repair.REPAIRED, "") if done else (Repair.GONE, "it had changed when it was about to be put right")
