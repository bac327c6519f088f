"""DynamoDB stream -> project, a batch at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog

from playerstate.aws import settings as s
from playerstate.aws.events import Delivered, Response, dynamodb_changes, failures, raw_of
from playerstate.aws.meter import Meter
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.emf import (
    BATCH_FAILURES,
    DEAD_LETTERS,
    FRESHNESS,
    NOT_CHECKED,
    NOTICES_PUBLISHED,
    VIEWS_WRITTEN,
)
from playerstate.core.lookups import Shown, delay_s, encode_lookup, packed
from playerstate.core.model import DeadLetter, Identity
from playerstate.core.version_vector import format_vector
from playerstate.core.wire import read_row_head
from playerstate.errors import (
    InvalidUpdate,
    NotNow,
    OutcomeUnknown,
    PlayerStateError,
    StartRefused,
    Unavailable,
    described,
)
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.queue import Queue
from playerstate.ports.store import Change
from playerstate.stages.project import Project, Projected
from playerstate.stages.told import tell_letters

PROJECTOR = "@project"
"""The producer in the identities of project's dead letters, so that they are found, and go, with the player."""

POISONED_KEYS_MAX = 3
"""If all changes of so many keys fail, it is not them."""
AGAIN_AFTER_MS = 30_000
"""How long the queue of rechecks is left alone when it did not take something."""

log = structlog.get_logger(__name__)


class Projecting:
    """The function. A batch that could not be finished comes again whole: every sink stands repeating.

    A change that project cannot take, whatever it is, is put aside: it must not hold up the cache of all players of its
    shard. Verification compares what it would have shown. `rechecks` is the queue of `Recheck`, where there is one.
    """

    def __init__(
        self, project: Project, dead_letters: DeadLetters, rechecks: Queue | None, clock: Clock, meter: Meter
    ) -> None:
        self._project = project
        self._dead_letters = dead_letters
        self._rechecks = rechecks
        self._clock = clock
        self._meter = meter
        self._left_alone: set[str] = set()
        self._not_before = 0

    def __call__(self, event: object) -> Response:
        """Process an event of the table's stream."""
        entries = dynamodb_changes(event)
        try:
            self._put_aside([_letter_of(entry, self._clock.now_ms()) for entry in entries if _is_no_row(entry)])
            self.handle([entry.content for entry in entries if not isinstance(entry.content, InvalidUpdate)])
        except (NotNow, OutcomeUnknown) as exc:
            log.warning("a batch comes again", stage="project", records=len(entries), error=described(exc))
            self._meter.count(BATCH_FAILURES, 1, "project")
            return failures([entries[0].identifier])
        return failures([])

    def handle(self, changes: Sequence[Change]) -> None:
        """Project changes of one shard. Raises `NotNow` or `OutcomeUnknown` if they have to come again."""
        if changes:
            self._tell(self._handle(changes))
            self._ask_for_rechecks(changes)

    def refuse(self, record: Mapping[str, Any], refusal: InvalidUpdate) -> None:
        """Put aside a record of the stream that is no change of a row."""
        part = record["dynamodb"]
        refused: Delivered[Change] = Delivered(part["SequenceNumber"], refusal, raw_of(part))
        self._put_aside([_letter_of(refused, self._clock.now_ms())])

    def _handle(self, changes: Sequence[Change]) -> list[Projected]:
        """Project changes; what cannot be is put aside, unless that is all of several keys'.

        Then it is not the changes that something is wrong with: they come again, until somebody has mended it.
        """
        done: list[Projected] = []
        poison: list[DeadLetter] = []
        self._find_poison(changes, done, poison)
        if not done and len({change.key for change in changes}) >= POISONED_KEYS_MAX:
            raise Unavailable("no change of a batch could be projected; the fault is not theirs")
        self._put_aside(poison)
        return done

    def _find_poison(self, changes: Sequence[Change], done: list[Projected], poison: list[DeadLetter]) -> None:
        try:
            done.append(self._project.handle(changes))
        except (NotNow, OutcomeUnknown, StartRefused):
            raise
        except Exception as exc:
            log.exception("changes could not be projected", first=changes[0].position, changes=len(changes))
            if len(changes) == 1:
                reason = described(exc) if isinstance(exc, PlayerStateError) else repr(exc)
                poison.append(_letter(changes[0], "internal", reason, self._clock.now_ms()))
                return
            middle = len(changes) // 2
            self._find_poison(changes[:middle], done, poison)
            self._find_poison(changes[middle:], done, poison)

    def _put_aside(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            self._meter.count(DEAD_LETTERS, self._dead_letters.put(letters))
            tell_letters(letters)

    def _tell(self, done: Sequence[Projected]) -> None:
        for projected in done:
            self._meter.count(VIEWS_WRITTEN, projected.views_written)
            self._meter.count(NOTICES_PUBLISHED, projected.notices)
            self._meter.observe(FRESHNESS, projected.freshness_ms)
        for name in {name for projected in done for name in projected.left_alone} - self._left_alone:
            log.warning("a key of another region is not in this one's schema; it is not shown here", state_key=name)
            self._left_alone.add(name)

    def _ask_for_rechecks(self, changes: Sequence[Change]) -> None:
        """Have the changes looked up later. That this cannot be asked for holds nothing up."""
        now = self._clock.now_ms()
        if self._rechecks is None or not changes or now < self._not_before:
            return
        messages = packed(_shown(changes, self._project.state_keys, self._project.region, now))
        try:
            for lookup in messages:
                since = [change.since for change in lookup.changes]
                self._rechecks.send([encode_lookup(lookup)], delay_s=delay_s(0, since, now))
        except PlayerStateError as exc:
            self._not_before = now + AGAIN_AFTER_MS
            log.warning("changes are not looked up later", changes=len(changes), error=described(exc))
            self._meter.count(NOT_CHECKED, len(changes))


def projecting(wiring: Wiring, meter: Meter) -> Projecting:
    """Wire the function."""
    project = Project(
        wiring.schema,
        wiring.region,
        wiring.store,
        wiring.cache,
        wiring.groups(),
        wiring.clock,
        alone=len(wiring.regions) == 1,
        resolve=wiring.queue_if_any(s.RESOLVE_QUEUE_URL),
        retired=lambda: wiring.retired,
        predecessors=wiring.predecessors,
        findings=wiring.findings,
    )
    rechecks = wiring.queue_if_any(s.RECHECK_QUEUE_URL)
    return Projecting(project, wiring.dead_letters, rechecks, wiring.clock, meter)


def _shown(changes: Sequence[Change], state_keys: Collection[str], region: str, now: int) -> list[Shown]:
    """The latest change of each row. Other regions' count from 1 s ago at most: they were on their way."""
    latest: dict[tuple[str, str, str], Shown] = {}
    for change in changes:
        try:
            head = read_row_head(change.new)
        except PlayerStateError:  # it was put aside
            continue
        name = (*change.key, change.region)
        since = head.written_at if change.region == region else now - min(max(now - head.written_at, 0), 1_000)
        latest[name] = Shown(*change.key, format_vector(head.vector), since, now)
    return [shown for shown in latest.values() if shown.state_key in state_keys]


def _is_no_row(entry: Delivered[Change]) -> bool:
    return isinstance(entry.content, InvalidUpdate)


def _letter_of(entry: Delivered[Change], now: int) -> DeadLetter:
    """The letter of a record that is no change of a row: somebody else has written to the table."""
    refusal = entry.content
    if not isinstance(refusal, InvalidUpdate):
        raise TypeError("the record could be read")
    letter_id = f"change-{int(entry.identifier):040d}"
    return DeadLetter(letter_id, "project", now, refusal.code, str(refusal), entry.body, _identity_in(entry.body))


def _identity_in(record: bytes) -> Identity | None:
    """Whose row a record is of, where it is of one: so that its letter is found, and goes, with the player."""
    try:
        keys = json.loads(record)["Keys"]
        player_id, place = keys["player_id"]["S"], keys["state_key"]["S"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(player_id, str) or not isinstance(place, str):
        return None
    return Identity(PROJECTOR, 0, player_id, place.partition("#")[0])


def _letter(change: Change, code: str, reason: str, now: int) -> DeadLetter:
    digest = hashlib.sha256(change.new).hexdigest()[:16]
    identity = Identity(PROJECTOR, 0, *change.key)
    return DeadLetter(f"change-{change.position:040d}-{digest}", "project", now, code, reason, change.new, identity)
