"""The node's calls, over whatever parts it was wired with. The socket, the CLI and the API all come here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from playerstate.api import AnyUpdate, PlayerState
from playerstate.core.amendment import Amendment
from playerstate.core.answers import Accepted, Alarm, Answer, Compared, SettingsTold, Stats
from playerstate.core.check import check_player_id, unknown_key
from playerstate.core.export import Export
from playerstate.core.findings import Finding
from playerstate.core.history import HistoryPage, Wanted
from playerstate.core.images import Images
from playerstate.core.letters import EVERY, GoneLetter, LetterFilter
from playerstate.core.model import DeadLetter, Identity, Json, Key, Outcome, Stage, Transition, View
from playerstate.core.schema import Schema
from playerstate.errors import InvalidUpdate, PlayerStateError, Unavailable
from playerstate.ports.audit import Audit
from playerstate.ports.cache import Cache
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.findings import Findings
from playerstate.ports.graph import Graph
from playerstate.ports.queue import Queue
from playerstate.ports.store import Changes, Store
from playerstate.ports.stream import Checkpoints, Stream
from playerstate.runtime.amending import Amending
from playerstate.stages.accept import Accept
from playerstate.stages.export import Exporter
from playerstate.stages.hindrances import Hindrances
from playerstate.stages.history import NOBODY, History, Others
from playerstate.stages.letters import Letters
from playerstate.stages.outcomes import Outcomes
from playerstate.stages.paths import shortest_path
from playerstate.stages.put_right import PutRight
from playerstate.stages.verify_once import VerifyOnce

OUTCOME_POLL_S = 0.05
DRAIN_POLL_S = 0.005
CATCH_UP_MAX_S = 5.0
"""How long sending a letter again waits for what was accepted before to be applied."""


@dataclass(frozen=True)
class Parts:
    """What a node is made of. `queues` are the consumer groups', by the name of their stage."""

    stream: Stream
    checkpoints: Checkpoints
    store: Store
    changes: Changes
    cache: Cache
    queues: Mapping[Stage, Queue]
    graph: Graph
    audit: Audit
    dead_letters: DeadLetters
    findings: Findings


class Service(PlayerState):
    """A `PlayerState` over parts. `stats` and the callbacks come from the node that drives the stages."""

    def __init__(
        self,
        schema: Schema,
        parts: Parts,
        accept: Accept,
        *,
        stats: Callable[[], Stats],
        verify_once: VerifyOnce,
        on_accepted: Callable[[], None],
        on_close: Callable[[], None],
        clock: Clock,
        other_audits: Callable[[], Others] = lambda: NOBODY,
        settings: Callable[[], SettingsTold] = SettingsTold,
    ) -> None:
        self._schema = schema
        self._parts = parts
        self._accept = accept
        self._stats = stats
        self._verify_once = verify_once
        self._on_accepted = on_accepted
        self._on_close = on_close
        self._images = Images(schema, kept_max=256)
        self._history = History(parts.audit, other_audits, region=lambda: stats().region)
        self._outcomes = Outcomes(schema, parts.store, parts.audit, parts.dead_letters)
        self._letters = Letters(
            parts.dead_letters,
            parts.queues,
            clock,
            send=self.send_many,
            took_effect=self._outcomes.took_effect,
            hindrances=Hindrances(schema, lambda: stats().region, parts.store, self._caught_up),
        )
        self._settings = settings
        self._exporter = Exporter(schema, parts.store, parts.audit, parts.dead_letters, parts.graph, parts.findings)

    @property
    def schema(self) -> Schema:
        """The game's schema."""
        return self._schema

    def send(self, update: AnyUpdate) -> Answer:
        """Send one update."""
        return self.send_many([update])[0]

    def send_many(self, updates: Sequence[AnyUpdate]) -> list[Answer]:
        """Send updates in order."""
        answers = self._accept.handle(updates)
        self._on_accepted()
        return answers

    def outcome(self, identity: Identity, *, wait_s: float = 0.0) -> Outcome | None:
        """What became of an update. Its row's memory knows; the watch channel says when to look again."""
        identity = Identity(*identity)
        key = self._key(identity.player_id, identity.state_key)
        found = self._outcomes.of(identity)
        if found is not None or wait_s <= 0:
            return found
        deadline = time.monotonic() + wait_s
        changes = self._wakes(key.player_id)
        while True:
            found = self._outcomes.of(identity)
            if found is not None or time.monotonic() >= deadline:
                return found
            next(changes)

    def _wakes(self, player_id: str) -> Iterator[None]:
        """An item whenever something of the player may have changed, and every `OUTCOME_POLL_S`, cache or no cache."""
        try:
            for _ in self._parts.cache.watch(player_id, timeout_s=OUTCOME_POLL_S):
                yield
        except Unavailable:
            while True:
                time.sleep(OUTCOME_POLL_S)
                yield

    def get(self, player_id: str, state_key: str) -> View:
        """The view of a key: from the cache, or from the store where the cache has lost it or is away."""
        key = self._key(player_id, state_key)
        cache = self._parts.cache
        try:
            view = cache.get(key)
            if view is None:
                view = self._fill(player_id).get(state_key)
        except Unavailable:
            view = self._stored_views(player_id).get(state_key)
        return self._unwritten(key) if view is None or not view.version else view

    def get_player(self, player_id: str) -> dict[str, View]:
        """All views of a player that were ever written."""
        check_player_id(player_id)
        try:
            cached = self._parts.cache.get_player(player_id)
            return cached.views if cached.complete else self._fill(player_id)
        except Unavailable:
            return self._stored_views(player_id)

    def watch(self, player_id: str, *, timeout_s: float = 1.0) -> Iterator[View | None]:
        """Views of a player as they change."""
        check_player_id(player_id)
        return self._parts.cache.watch(player_id, timeout_s=timeout_s)

    def history(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        outcome: str | None = None,
        producer: str | None = None,
        limit: int = 100,
        everywhere: bool = True,
    ) -> HistoryPage:
        """What made a player's state, or one key of it: the latest first."""
        check_player_id(player_id)
        if state_key is not None:
            self._key(player_id, state_key)
        if limit < 1:
            raise InvalidUpdate("A page has at least one entry", code="out_of_range")
        wanted = Wanted(outcome, producer)
        present = (
            self._versions(player_id) if before is None else None
        )  # first: what is written meanwhile is not missed
        page = self._history.page(
            player_id, state_key, since=since, before=before, wanted=wanted, limit=limit, everywhere=everywhere
        )
        return msgspec.structs.replace(page, present=present)

    def dead_letters(self, *, after: str = "", limit: int = 100, where: LetterFilter = EVERY) -> list[DeadLetter]:
        """The next dead letters."""
        return self._parts.dead_letters.list(after=after, limit=limit, where=where)

    def send_again(self, letter_id: str) -> list[Answer]:
        """Send the updates of a dead letter under a producer of its own; the original had no effect.

        A letter of a consumer group goes back on its queue.
        """
        return self._letters.send_again(letter_id)

    def discard(self, letter_id: str, *, reason: str) -> GoneLetter:
        """Have a dead letter go, for a reason that is kept."""
        return self._letters.discard(letter_id, reason)

    def gone_letters(self, *, after: int = 0, limit: int = 100, where: LetterFilter = EVERY) -> Sequence[GoneLetter]:
        """The next records of dead letters that have gone."""
        return self._parts.dead_letters.gone(after=after, limit=limit, where=where)

    def gone_letter(self, letter_id: str) -> GoneLetter | None:
        """The latest record of a dead letter that has gone."""
        return self._parts.dead_letters.latest_gone(letter_id)

    def expire_letters(self, before: int, keep: int, *, limit: int) -> int:
        """End dead letters found before a time (ms), and the first of more than `keep`, at most `limit` at once."""
        return self._letters.expire(before, keep, limit=limit)

    def set_value(
        self, player_id: str, state_key: str, value: Json, *, reason: str, dry_run: bool = False
    ) -> Amendment:
        """Put a key to a value."""
        return self._amending().set_value(self._key(player_id, state_key), value, reason=reason, dry_run=dry_run)

    def undo(self, identity: Identity, *, reason: str, dry_run: bool = False) -> Amendment:
        """Take back what an update did."""
        identity = Identity(*identity)
        self._key(identity.player_id, identity.state_key)
        return self._amending().undo(identity, reason=reason, dry_run=dry_run)

    def erase(self, player_id: str, *, reason: str) -> list[Accepted]:
        """Erase a player; the player's dead letters go at once."""
        answers = self._accept.erase(player_id, reason)
        self._on_accepted()
        self._letters.erase(player_id)
        return answers

    def export(self, player_id: str) -> Export:
        """Everything that is held about a player."""
        check_player_id(player_id)
        return self._exporter.export(player_id, self._stats().region, time.time_ns() // 1_000_000)

    def verify(self, cursor: str = "", *, keys: int = 1000, sample: bool = False, repair: bool = True) -> Compared:
        """Compare what should agree, now."""
        if sample:
            return self._verify_once.sample(keys, repair=repair)
        return self._verify_once.page(cursor, keys=keys, repair=repair)

    def findings(self, player_id: str | None = None, *, before: str | None = None, limit: int = 100) -> list[Finding]:
        """What verification has found."""
        if player_id is not None:
            check_player_id(player_id)
        return self._parts.findings.list(player_id, before=before, limit=limit)

    def neighbours(self, player_id: str, label: str) -> list[str]:
        """The vertices that a player's edges of a label lead to."""
        return sorted(self._parts.graph.targets([player_id], self._label(label)).get(player_id, ()))

    def friends_of_friends(self, player_id: str, label: str, *, limit: int = 1000) -> list[str]:
        """The vertices two edges away."""
        return self._parts.graph.friends_of_friends(player_id, self._label(label), limit)

    def shortest_path(self, start: str, end: str, label: str, *, edges_max: int = 6) -> list[str] | None:
        """A shortest path along edges of a label."""
        return shortest_path(self._parts.graph, start, end, self._label(label), edges_max=edges_max)

    def drain(self, *, timeout_s: float) -> bool:
        """Wait until everything accepted so far has gone all the way."""
        parts = self._parts
        deadline = time.monotonic() + timeout_s
        if not self._catch_up(deadline):
            return False
        changed = parts.changes.head()
        if not _wait(lambda: parts.checkpoints.load("project") >= changed, deadline):
            return False
        return _wait(lambda: not any(queue.depth() for queue in parts.queues.values()), deadline)

    def stats(self) -> Stats:
        """What the node has done since it started."""
        return self._stats()

    def alarms(self) -> list[Alarm]:
        """The alarms that fire."""
        return self._stats().alarms

    def settings(self) -> SettingsTold:
        """What is set for the node, as it is in force."""
        return self._settings()

    def close(self) -> None:
        """Stop the node."""
        self._on_close()

    def _amending(self) -> Amending:
        audit = self._parts.audit

        def history(key: Key, before: int | None, limit: int) -> list[Transition]:
            return audit.history(*key, before=before, limit=limit)

        stage = PutRight(self._schema, self._stats().region, self._parts.store, history)
        return Amending(stage, self, self._accept.now_ms, self._catch_up)

    def _catch_up(self, deadline: float) -> bool:
        accepted = self._parts.stream.head()
        return _wait(lambda: self._parts.checkpoints.load("apply") >= accepted, deadline)

    def _caught_up(self) -> bool:
        return self._catch_up(time.monotonic() + CATCH_UP_MAX_S)

    def _key(self, player_id: str, state_key: str) -> Key:
        check_player_id(player_id)
        if state_key not in self._schema.keys:
            raise unknown_key(state_key, self._schema.keys, "$.state_key")
        return Key(player_id, state_key)

    def _label(self, label: str) -> str:
        labels = sorted({edge.label for edge in self._schema.edge_keys().values()})
        if label not in labels:
            raise InvalidUpdate(
                f"The schema makes no edges {label[:80]!r}; it has {', '.join(labels)}", code="unknown_label"
            )
        return label

    def _unwritten(self, key: Key) -> View:
        return self._images.view(key, [])

    def _fill(self, player_id: str) -> dict[str, View]:
        """Read a player from the store, and bring the cache up to it."""
        token = self._parts.cache.begin_fill(player_id)
        views = self._stored_views(player_id)
        self._parts.cache.fill(player_id, list(views.values()), token)
        return views

    def _versions(self, player_id: str) -> dict[str, str] | None:
        """What the store has of a player; null if it cannot be read, for a history is told all the same."""
        try:
            return {name: view.version for name, view in self._stored_views(player_id).items()}
        except PlayerStateError:
            return None

    def _stored_views(self, player_id: str) -> dict[str, View]:
        return {
            key.state_key: self._images.view(key, [self._images.read(key.state_key, body) for body in rows.values()])
            for key, rows in self._parts.store.load_player(player_id).items()
            if key.state_key in self._schema.keys  # another region may have a newer one
        }


def _wait(condition: Callable[[], bool], deadline: float) -> bool:
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(DRAIN_POLL_S)
    return True
