"""Blame: where two things of one version differ, which of them is not what was written.

Equal versions mean equal values, so somebody has changed one of them past the system. Cache and graph are made from the
store; but if it is the store that was changed, to follow it would spread the damage. Two witnesses tell: the other
regions' copies of the row, by majority, and the history, which has what every version was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from playerstate.core.comparison import Difference, Wrong, which_is_wrong
from playerstate.core.findings import STORE, Kind
from playerstate.core.images import Images
from playerstate.core.model import Key
from playerstate.core.snapshots import Copy
from playerstate.core.version_vector import parse_vector, total
from playerstate.errors import NotNow, NotOffered
from playerstate.ports.audit import Audit
from playerstate.stages.stored import StoredPlayer, value_of

HISTORY_SEARCHED_MAX = 100
HISTORY_DIFFERS = "the history has another value of this version"

Held = Mapping[str, Mapping[str, Copy]]
"""Other regions' copies of a player's rows of this region, by place and state key."""


class Blame:
    """Asks the witnesses, in one region."""

    def __init__(self, region: str, images: Images, audit: Audit) -> None:
        self._region = region
        self._images = images
        self._audit = audit

    def of_followers(self, differences: Iterable[Difference], stored: StoredPlayer) -> Sequence[Difference]:
        """The same differences; those are the store's where it has not what the history says was written."""
        return [self._of_follower(one, stored) for one in differences]

    def of_copied(self, differences: Iterable[Difference], stored: StoredPlayer, held: Held) -> Sequence[Difference]:
        """The same differences; those are the store's where it is not the copy that is wrong."""
        blamed = []
        for one in differences:
            own = stored.own.get(one.key.state_key)
            if one.kind is Kind.DIVERGED and own and self.which(one.key, own, held)[0] is Wrong.OWN:
                blamed.append(_of_store(one, "other regions have another row of this version"))
            else:
                blamed.append(one)
        return blamed

    def which(self, key: Key, own: Copy, held: Held) -> tuple[Wrong, bytes]:
        """Which of this region's row and the copies of it is wrong, and the row that is right.

        Where the own row does not say its version, the latest of the copies are the witnesses.
        """
        copies = [rows[key.state_key] for rows in held.values() if key.state_key in rows]
        found = [(total(parse_vector(copy.version)), copy) for copy in copies if copy.version]
        latest = max([steps for steps, _ in found], default=0)
        bodies = [copy.body for n, copy in found if copy.version == own.version or (not own.version and n == latest)]
        others = Counter(body for body in bodies if body != own.body)
        if not others:
            return Wrong.UNKNOWN, own.body
        wrong = which_is_wrong(own.body, bodies)
        if wrong is Wrong.UNKNOWN:
            return self._by_history(key, own, list(others))
        return wrong, others.most_common(1)[0][0] if wrong is Wrong.OWN else own.body

    def _of_follower(self, one: Difference, stored: StoredPlayer) -> Difference:
        view = stored.views.get(one.key.state_key)
        if one.kind is not Kind.DIVERGED or view is None:
            return one
        written = self._written(one.key, view.version)
        if written is None or written == bytes(view.value):
            return one
        return _of_store(one._replace(expected=view.version, found=view.version), HISTORY_DIFFERS)

    def _by_history(self, key: Key, own: Copy, others: Sequence[bytes]) -> tuple[Wrong, bytes]:
        mine = value_of(self._images, key, own.body)
        theirs = {other: value for other in others if (value := value_of(self._images, key, other)) is not None}
        if mine is None:  # whatever can be read is better, if there is but one such row
            return (Wrong.OWN, next(iter(theirs))) if len(theirs) == 1 else (Wrong.UNKNOWN, own.body)
        if all(value == mine for value in theirs.values()):
            return Wrong.COPY, own.body  # readers see the same, so the writer's own is taken
        written = self._written(key, own.version)
        if written is not None and mine == written:
            return Wrong.COPY, own.body
        right = [other for other, value in theirs.items() if value == written]
        return (Wrong.OWN, right[0]) if right else (Wrong.UNKNOWN, own.body)

    def _written(self, key: Key, version: str) -> bytes | None:
        """What the history says that this region wrote as a version of a key; None if it does not say."""
        try:
            transitions = self._audit.history(*key, limit=HISTORY_SEARCHED_MAX)
        except (NotNow, NotOffered):
            return None
        found = [t.after for t in transitions if t.region == self._region and t.version == version]
        return bytes(found[0]) if found else None


def _of_store(one: Difference, detail: str) -> Difference:
    return Difference(STORE, one.key, Kind.DIVERGED, one.expected, one.found, detail)
