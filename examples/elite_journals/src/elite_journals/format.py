"""The replay format `elite-journal`: journals in, updates with their identities out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from msgspec.structs import replace

from elite_journals.changes import NotUnderstood
from elite_journals.journal import Entry, read_entries
from elite_journals.mapping import updates_of
from elite_journals.plain import PlainState
from playerstate.core.check import Checker
from playerstate.core.model import Key, Op, Status, Transition, Update
from playerstate.core.schema import parse_schema
from playerstate.errors import InvalidUpdate
from playerstate.replay import Intervals, PlainResult, Source, identity_of

SNAPSHOT_KEYS = ("credits", "materials", "cargo", "backpack")
"""The keys whose `set` or `replace` is a snapshot that the journal took."""


class EliteJournal:
    """Elite Dangerous player journals.

    An update's producer is its session, `elite:<fid>:<file>`, and its sequence the number of the session's
    updates of that first key so far: both follow from the files alone, so that sending them again changes
    nothing.
    """

    name = "elite-journal"

    def __init__(self) -> None:
        self._text = files("elite_journals").joinpath("game.toml").read_text(encoding="utf-8")
        self._schema = parse_schema(self._text)
        self._checker = Checker(self._schema)

    def schema_text(self) -> str:
        """The schema that the updates need."""
        return self._text

    def read(self, paths: Sequence[Path]) -> Iterator[Update]:
        """The updates in the order of the files, without the time at which they are sent."""
        return self._updates(paths, Source())

    def plain_replay(self, paths: Sequence[Path]) -> PlainResult:
        """What comes of the updates in plain Python."""
        source = Source()
        state = PlainState({key: spec.type for key, spec in self._schema.keys.items()})
        outcomes = {
            identity_of(update): ("applied" if state.apply(update.ops) else "refused:insufficient")
            for update in self._updates(paths, source)
        }
        intervals = {
            key: Intervals(sum(state.intervals.get(key, ())), len(state.intervals.get(key, ())))
            for key in SNAPSHOT_KEYS
        }
        return PlainResult(source, outcomes, state.players, intervals)

    def snapshot_intervals(self, history: Iterable[Transition]) -> dict[str, Intervals]:
        """The same from a node's history: a snapshot that came to no delta had been expected."""
        met: set[tuple[str, str]] = set()
        intervals = {key: Intervals() for key in SNAPSHOT_KEYS}
        for transition in history:
            key = transition.state_key
            if key not in intervals:
                continue
            for cause in transition.causes:
                for effect in cause.effects:
                    if cause.status is not Status.APPLIED or effect.op not in ("set", "replace"):
                        continue
                    if (transition.player_id, key) in met:
                        intervals[key].total += 1
                        intervals[key].exact += not effect.delta and not effect.deltas
                    met.add((transition.player_id, key))
        return intervals

    def _updates(self, paths: Sequence[Path], source: Source) -> Iterator[Update]:
        sequences: Counter[tuple[str, Key]] = Counter()
        for entry in read_entries(paths, source.note_malformed):
            source.events += 1
            event = str(entry.event["event"])
            try:
                updates = self._updates_of(entry)
            except (NotUnderstood, InvalidUpdate):
                source.not_understood[event] = source.not_understood.get(event, 0) + 1
                continue
            if not updates:
                source.ignored[event] = source.ignored.get(event, 0) + 1
            for update in updates:
                source.updates += 1
                sequences[update.producer, update.first_key] += 1
                yield replace(update, sequence=sequences[update.producer, update.first_key])

    def _updates_of(self, entry: Entry) -> list[Update]:
        """An event's updates, all of which the schema allows, as yet with the sequence 1.

        Raises `NotUnderstood` or `InvalidUpdate`.
        """
        producer = f"elite:{entry.player_id}:{entry.session}"
        updates = []
        for changes in updates_of(entry.event):
            ops = [Op(entry.player_id, change.state_key, change.op, **change.arguments) for change in changes]
            updates.append(Update(ops, producer, 1))
            self._checker.check(updates[-1])
        return updates
