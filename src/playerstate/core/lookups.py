"""Lookups: what has to be seen later, as messages, where no process lives long enough to wait for it. Pure.

A message holds changes of about one age, each of which has to be visible in the cache by then (`Change` in the sense of
`rechecks`: Meta's Polaris), or differences that were seen and may be on their way. It is sent with a delay, and sent on
with what could not be settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from playerstate.core.comparison import Difference
from playerstate.core.model import Key
from playerstate.core.rechecks import AGES_S, reaches
from playerstate.core.wire import decode_or_refuse

DELAY_MAX_S = 900
"""The longest that SQS holds a message back."""
PER_MESSAGE_MAX = 200
LATE_MS = 2_500
"""By how much a look may come late and still be one at that age: SQS counts in seconds, and Lambda gathers batches."""


class Shown(NamedTuple):
    """A change: its key and the version that it made, when it was made, and when it was written to the cache (ms)."""

    player_id: str
    state_key: str
    version: str
    since: int
    shown_at: int

    @property
    def key(self) -> Key:
        """The key."""
        return Key(self.player_id, self.state_key)


class Seen(NamedTuple):
    """A difference, and since when (ms) it has been seen."""

    difference: Difference
    since: int


class Lookup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A message: changes to be looked up at the age `AGES_S[age]`, or differences to be looked at again.

    `put_off` counts how often the look has been put off, because what is on its way is late as a whole.
    """

    age: Annotated[int, Meta(ge=0, lt=len(AGES_S))] = 0
    changes: list[Shown] = []
    differences: list[Seen] = []
    put_off: int = 0


class Judged(NamedTuple):
    """What a look at changes of one age came to.

    `judged` and `right` are counted by age as in `Rechecks`; `late` are those that have to be looked up again.
    """

    judged: dict[int, int]
    right: dict[int, int]
    misses: int
    late: list[Shown]


_decoder = msgspec.json.Decoder(Lookup)


def encode_lookup(lookup: Lookup) -> bytes:
    """A message."""
    return msgspec.json.encode(lookup)


def decode_lookup(body: bytes) -> list[Lookup]:
    """What a message says, as the list of one. Raises `InvalidUpdate` for what is none."""
    lookup: Lookup = decode_or_refuse(_decoder, body, "message")
    return [lookup]


def packed(items: Sequence[Shown]) -> list[Lookup]:
    """Changes that were just made, in messages for the first age."""
    return [
        Lookup(changes=list(items[start : start + PER_MESSAGE_MAX])) for start in range(0, len(items), PER_MESSAGE_MAX)
    ]


def lagging(differences: Sequence[Difference], now: int) -> list[Lookup]:
    """What lags, as messages to look at it again, seen first at a time (ms)."""
    seen = [Seen(one, now) for one in differences]
    return [Lookup(differences=seen[start : start + PER_MESSAGE_MAX]) for start in range(0, len(seen), PER_MESSAGE_MAX)]


def delay_s(age: int, since: Iterable[int], now: int) -> float:
    """How long to hold a message back, until the latest of its changes has the age."""
    due = max(since, default=now) + AGES_S[age] * 1000
    return min(max((due - now) / 1000, 0.0), DELAY_MAX_S)


def judge(
    changes: Sequence[Shown], age: int, versions: Callable[[Sequence[Key]], Sequence[str | None]], now: int
) -> Judged:
    """Look changes up in the cache, at a time (ms).

    One that is there was so since it was written, as far as anybody knows, which may have been later than an age that
    has passed: then it was not right at that age. Of an age at which nobody looked, nothing else is known.
    One that the cache does not hold is a miss, and judged at no age.
    """
    keys = list(dict.fromkeys([change.key for change in changes]))
    found = dict(zip(keys, versions(keys), strict=True))
    result = Judged(dict.fromkeys(AGES_S, 0), dict.fromkeys(AGES_S, 0), 0, [])
    misses = 0
    for change in changes:
        version = found[change.key]
        if version is None:
            misses += 1
        elif reaches(version, change.version):
            for age_s in AGES_S[age:]:
                was_shown = change.shown_at - change.since <= age_s * 1000
                if not was_shown or now - change.since <= age_s * 1000 + LATE_MS:
                    result.judged[age_s] += 1
                    result.right[age_s] += was_shown
        else:
            result.judged[AGES_S[age]] += 1
            result.late.append(change)
    return result._replace(misses=misses)
