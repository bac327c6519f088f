"""Put right: a value that should be, or an update that should not have been -> the update that does it.

    player, key, value --------------> [the rows as they stand] -> an update, with its reason
    update, as the history names it -> [retrace, rows] -----------^

What is worked out here is an update like any other, which apply judges. Where it holds only for what was read, it says
so by `if_versions`; and since its `sent_at` is from before anything was read, it comes to nothing if a key is erased
meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from playerstate.core.amendment import Change
from playerstate.core.check import Checker
from playerstate.core.model import Identity, Json, Key, Outcome, Status, Update
from playerstate.core.producers import recall
from playerstate.core.rehearsal import rehearse
from playerstate.core.replica import Replica
from playerstate.core.schema import Schema
from playerstate.core.setting import setting
from playerstate.core.types import DATA_TYPES
from playerstate.core.undoing import inverse, undoer_of
from playerstate.core.wire import TIME_MAX_MS, row_readers
from playerstate.errors import InvalidUpdate
from playerstate.ports.store import Store
from playerstate.stages.retrace import History, Retrace, Trace


class Proposal(NamedTuple):
    """The update that puts it right, None if there is nothing to do; what it would change, and come to."""

    update: Update | None
    changes: list[Change]
    outcome: Outcome


class PutRight:
    """The stage, in one region. It changes nothing: what it proposes has to be sent.

    `history` gives a key's transitions; they have to be those of every region whose writes are to be undone here.
    """

    def __init__(self, schema: Schema, region: str, store: Store, history: History) -> None:
        self._schema = schema
        self._region = region
        self._store = store
        self._readers = row_readers(schema)
        self._checker = Checker(schema)
        self._retrace = Retrace(schema, region, history)

    def propose_value(self, key: Key, value: Json, reason: str, now: int) -> Proposal:
        """What sets a key to a value, given the time before now at which nothing had been read yet (ms).

        Raises `InvalidUpdate` where the type cannot be set to it.
        """
        replicas = self._load([key])
        spec, replica = self._schema.keys[key.state_key], replicas[key]
        present = DATA_TYPES[spec.type].value(replica.state, spec)
        found = setting(key, spec, present, value)
        if not found.ops:
            return Proposal(None, [], Outcome(Status.APPLIED))
        as_read = replica.version if found.guarded else None
        return self._rehearsed(Update(found.ops, sent_at=now, if_version=as_read, note=f"set: {reason}"), replicas, now)

    def propose_undo(self, identity: Identity, reason: str, now: int) -> Proposal:
        """What takes back all that an update did, given the time at which nothing had been read yet (ms).

        Raises `InvalidUpdate` that says why it cannot be undone, `Lagging` if that may change in a moment.
        """
        traces = self._retrace.traces(identity, self._load, now)
        replicas = {trace.past.key: trace.row for trace in traces}  # read anew, they might hold what was not looked at
        undoer = undoer_of(identity, traces[0].region)
        sequence = _tries(undoer, traces) + 1
        found = inverse([trace.past for trace in traces], self._schema)
        as_read = [(*key, replicas[key].version) for key in found.guarded]
        note = f"undo of {identity.producer}#{identity.sequence}: {reason}"
        return self._rehearsed(
            Update(found.ops, undoer, sequence, now, note=note, if_versions=as_read or None), replicas, now
        )

    def _rehearsed(self, update: Update, replicas: Mapping[Key, Replica], now: int) -> Proposal:
        self._checker.check_content(update)
        return Proposal(update, *rehearse(update, replicas, now))

    def _load(self, keys: Sequence[Key]) -> dict[Key, Replica]:
        """Working copies of the keys, as apply would read them now."""
        replicas = {}
        for key, stored in self._store.load(keys).items():
            rows = {region: self._readers[key.state_key].decode(body) for region, body in stored.items()}
            spec, own = self._schema.keys[key.state_key], stored.get(self._region)
            replicas[key] = Replica(key, spec, self._schema.version, self._region, rows, own)
        return replicas


def _tries(undoer: str, traces: Sequence[Trace]) -> int:
    """How often it was tried to undo the update. Raises `InvalidUpdate` if it was undone.

    The rows know what was tried lately, the history what was tried at any time.
    """
    tries = {
        cause.sequence: cause.status
        for trace in traces
        for transition in trace.since
        for cause in transition.causes
        if cause.producer == undoer
    }
    for memory in [trace.row.memory for trace in traces]:
        last = max([part.producers[undoer].last for part in memory.values() if undoer in part.producers], default=0)
        for sequence in range(1, last + 1):
            known = recall(memory, undoer, sequence, TIME_MAX_MS)
            if isinstance(known, Outcome):
                tries[sequence] = known.status
    done = [sequence for sequence, status in tries.items() if status is Status.APPLIED]
    if done:
        raise InvalidUpdate(f"It was undone already, by {undoer}#{min(done)}", code="already_undone")
    return max(tries, default=0)
