"""The calls that a game server makes, the same in-process and to a running node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from playerstate.core.amendment import Amendment
from playerstate.core.answers import Accepted, Alarm, Answer, Compared, SettingsTold, Stats
from playerstate.core.export import Export
from playerstate.core.findings import Finding
from playerstate.core.history import HistoryPage
from playerstate.core.letters import EVERY, GoneLetter, LetterFilter
from playerstate.core.model import DeadLetter, Identity, Json, Outcome, Update, View
from playerstate.core.schema import Schema

AnyUpdate: TypeAlias = Update | Mapping[str, Any] | bytes | str
"""An update as a struct, as plain data, or as JSON text."""


class PlayerState(Protocol):
    """A node, as its clients see it. All calls may be made from several threads.

    Any call may raise `Unavailable` (nothing was done) or `SlowDown`; one that sends may raise `OutcomeUnknown`.
    """

    @property
    def schema(self) -> Schema:
        """The game's schema."""
        ...

    def send(self, update: AnyUpdate) -> Answer:
        """Send one update; it is on disk when this returns `Accepted`."""
        ...

    def send_many(self, updates: Sequence[AnyUpdate]) -> list[Answer]:
        """Send updates in order; the answer to each. A bad one does not keep the others from being accepted."""
        ...

    def outcome(self, identity: Identity, *, wait_s: float = 0.0) -> Outcome | None:
        """What became of an update, waiting up to `wait_s` seconds for it; None if that is not known yet."""
        ...

    def get(self, player_id: str, state_key: str) -> View:
        """The view of a key, from the hot cache. Raises `InvalidUpdate` for a key that the schema does not have."""
        ...

    def get_player(self, player_id: str) -> dict[str, View]:
        """All views of a player that were ever written, by key."""
        ...

    def watch(self, player_id: str, *, timeout_s: float = 1.0) -> Iterator[View | None]:
        """Views of a player as they change; None whenever `timeout_s` passes without a change."""
        ...

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
        """What made a player's state, or one key of it: the latest first, from the time `since` on and before the time
        `before` (ms). It is what all regions wrote, as far as it can be read, or, unless `everywhere`, this one.

        With an `outcome` (one of `playerstate.core.history.OUTCOMES`, or a status with its reason) or a `producer`
        only of such updates. A page may have fewer entries than `limit`, and go on: see its `before`.
        """
        ...

    def dead_letters(self, *, after: str = "", limit: int = 100, where: LetterFilter = EVERY) -> list[DeadLetter]:
        """The next dead letters beyond an id, in the order of their ids."""
        ...

    def send_again(self, letter_id: str) -> list[Answer]:
        """Send the updates of a dead letter again, as `replay:<id>:<hash>`; the letter goes if all were accepted.

        It may be repeated after any failure. An update that has taken effect all the same is `Rejected` as `processed`,
        one that names a player who was erased since as `erased`; `too_many_producers` may be tried again later.
        Raises `InvalidUpdate` for a letter that is not there, that cannot be read, or all of which has been processed.
        """
        ...

    def discard(self, letter_id: str, *, reason: str) -> GoneLetter:
        """Have a dead letter go for good; the record of it is kept. Raises `InvalidUpdate` without a reason."""
        ...

    def gone_letters(self, *, after: int = 0, limit: int = 100, where: LetterFilter = EVERY) -> Sequence[GoneLetter]:
        """The next records, beyond a number, of dead letters that have gone, in the order in which they went."""
        ...

    def gone_letter(self, letter_id: str) -> GoneLetter | None:
        """The latest record of a dead letter that has gone."""
        ...

    def set_value(
        self, player_id: str, state_key: str, value: Json, *, reason: str, dry_run: bool = False
    ) -> Amendment:
        """Put a key to a value, whatever its type, by an update whose note is the reason; wait for its outcome.

        With `dry_run` nothing is sent, and the answer is what would come of it. Raises `InvalidUpdate` without a
        reason, or for a value that the key cannot be set to.
        """
        ...

    def undo(self, identity: Identity, *, reason: str, dry_run: bool = False) -> Amendment:
        """Take back all that an update did, on all its keys, by one update whose note is the reason; wait for its
        outcome. Once more, it is refused as `already_undone`.

        With `dry_run` nothing is sent, and the answer is what would come of it. Raises `InvalidUpdate` without a
        reason, or with why the update cannot be undone.
        """
        ...

    def erase(self, player_id: str, *, reason: str) -> list[Accepted]:
        """Erase a player: every key of the schema goes back to its type's empty value, by an update of its own.

        What was accepted before is erased, here and, as rows arrive, in every other region; so is its history. The
        reason, which stays, is the history's to tell. Raises `InvalidUpdate` without one.
        """
        ...

    def export(self, player_id: str) -> Export:
        """Everything that the node's region holds about a player, or its latest part and where to go on."""
        ...

    def verify(self, cursor: str = "", *, keys: int = 1000, sample: bool = False, repair: bool = True) -> Compared:
        """Compare store, cache, graph and other regions' copies, now, and put right what is wrong if `repair` says so.

        Of about `keys` (2,000 at most) random ones if `sample` says so, otherwise of the next ones beyond a cursor: a
        walk through everything begins and ends with "". Takes half a second more if something differs.
        """
        ...

    def findings(self, player_id: str | None = None, *, before: str | None = None, limit: int = 100) -> list[Finding]:
        """What verification has found, or of one player: the latest first, those with an id before `before`."""
        ...

    def neighbours(self, player_id: str, label: str) -> list[str]:
        """The vertices that a player's edges of a label lead to, sorted."""
        ...

    def friends_of_friends(self, player_id: str, label: str, *, limit: int = 1000) -> list[str]:
        """The vertices two edges away that are neither the player nor one edge away, sorted."""
        ...

    def shortest_path(self, start: str, end: str, label: str, *, edges_max: int = 6) -> list[str] | None:
        """A shortest path along edges of a label, as vertices; None if there is none within `edges_max` edges.

        Raises `SearchTooWide` if more vertices were met than the search may look at.
        """
        ...

    def drain(self, *, timeout_s: float) -> bool:
        """Wait until everything accepted so far is applied, cached, linked and audited; False if time runs out."""
        ...

    def stats(self) -> Stats:
        """What the node has done since it started."""
        ...

    def alarms(self) -> list[Alarm]:
        """The alarms that fire, the critical ones first, as the node judged them in the last second or so."""
        ...

    def settings(self) -> SettingsTold:
        """What is set for the node, as it is in force."""
        ...

    def close(self) -> None:
        """Let go of the node; one that was opened in-process is stopped."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
