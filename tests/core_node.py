"""A node reduced to its core: `judge` over replicas in a dict. What the stages around it add, other tests show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from playerstate.core import producers
from playerstate.core.answers import Accepted, Answer, Rejected
from playerstate.core.check import Checker
from playerstate.core.history import HistoryPage, merged
from playerstate.core.judgement import judge
from playerstate.core.model import Identity, Key, Outcome, Transition, Update, View
from playerstate.core.replica import Replica
from playerstate.core.schema import parse_schema
from playerstate.core.views import value_json
from playerstate.errors import InvalidUpdate

REGION = "local"


class CoreNode:
    """The calls of a `PlayerState` that a replay makes. An update has taken effect when `send_many` returns.

    `writes_at_once` is how many updates one write of a row may process; `clock_ms` is the time of all writes.
    """

    def __init__(self, schema_text: str, *, writes_at_once: int = 8, clock_ms: int = 1_700_000_000_000) -> None:
        self.schema = parse_schema(schema_text)
        self.clock_ms = clock_ms
        self.updates_seen = 0
        self._checker = Checker(self.schema)
        self._replicas: dict[Key, Replica] = {}
        self._transitions: dict[str, list[Transition]] = defaultdict(list)
        self._before: dict[Key, tuple[str, bytes]] = {}
        self._writes_at_once = writes_at_once

    def send_many(self, updates: Sequence[Update]) -> list[Answer]:
        return [self._process(update) for update in updates]

    def outcome(self, identity: Identity, *, wait_s: float = 0.0) -> Outcome | None:
        memory = self._replica(Key(identity.player_id, identity.state_key)).memory
        known = producers.recall(memory, identity.producer, identity.sequence, sent_at=2**62)
        return msgspec.structs.replace(known, duplicate=False) if isinstance(known, Outcome) else None

    def get(self, player_id: str, state_key: str) -> View:
        replica = self._replica(Key(player_id, state_key))
        return View(player_id, state_key, replica.version, msgspec.Raw(_value(replica)))

    def get_player(self, player_id: str) -> dict[str, View]:
        return {
            key.state_key: self.get(*key)
            for key, replica in list(self._replicas.items())
            if key.player_id == player_id and replica.version
        }

    def history(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        before: int | None = None,
        limit: int = 100,
        everywhere: bool = True,
    ) -> HistoryPage:
        found = [
            transition
            for transition in self._transitions[player_id]
            if state_key in (None, transition.state_key) and (before is None or transition.written_at < before)
        ]
        found.sort(key=lambda t: (-t.written_at, -t.last, t.state_key))
        shown, rest = merged([(list(found), None)], limit)
        return HistoryPage([one for one in shown if isinstance(one, Transition)], before=rest)

    def drain(self, *, timeout_s: float) -> bool:
        for replica in self._replicas.values():
            self._write(replica)
        return True

    def _process(self, update: Update) -> Answer:
        try:
            self._checker.check(update)
        except InvalidUpdate as exc:
            return Rejected.of(exc)
        self.updates_seen += 1
        replicas = {op.key: self._replica(op.key) for op in update.ops}
        judge(update, self.clock_ms, [replicas[op.key] for op in update.ops])
        for replica in replicas.values():
            if len(replica.because) >= self._writes_at_once:
                self._write(replica)
        return Accepted(update.producer, update.sequence, *update.first_key)

    def _replica(self, key: Key) -> Replica:
        if key not in self._replicas:
            spec = self.schema.keys[key.state_key]
            self._replicas[key] = Replica(key, spec, self.schema.version, REGION, {}, None)
        return self._replicas[key]

    def _write(self, replica: Replica) -> None:
        causes, key = replica.because, replica.key
        if not causes:
            return
        version, before = self._before.get(key, ("", b"null"))
        replica.write(self.clock_ms)
        after = _value(replica)
        self._before[key] = replica.version, after
        self._transitions[key.player_id].append(
            Transition(
                key.player_id,
                key.state_key,
                REGION,
                causes[0].n,
                causes[-1].n,
                self.clock_ms,
                version,
                replica.version,
                msgspec.Raw(before),
                msgspec.Raw(after),
                causes,
            )
        )


def _value(replica: Replica) -> Any:
    return value_json(replica.state, replica.spec)
