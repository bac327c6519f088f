"""The nouns of the system, as they travel: operations, updates, outcomes, causes, views, notices, transitions."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from playerstate.core.numbers import BigInt

Json: TypeAlias = Any
"""Plain JSON data: None, bool, int, float, str, lists and string-keyed dicts of them."""


class Key(NamedTuple):
    """The name of one piece of state."""

    player_id: str
    state_key: str

    def __str__(self) -> str:
        return f"{self.player_id}/{self.state_key}"


ERASE = "erase"
"""The operation that erases a key of any type (see `erasure`). Only the product itself makes it."""


class Op(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, frozen=True, gc=False):
    """One operation on one key. Which of the optional fields it needs, the key's data type says."""

    player_id: str
    state_key: str
    op: str
    n: int | str | UnsetType = UNSET
    item: str | UnsetType = UNSET
    items: dict[str, int | str] | UnsetType = UNSET
    elements: list[str] | UnsetType = UNSET
    field: str | UnsetType = UNSET
    value: Json | UnsetType = UNSET

    @property
    def key(self) -> Key:
        """The key that the operation changes."""
        return Key(self.player_id, self.state_key)


class Update(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, frozen=True, gc=False):
    """One or more operations, all or nothing. Its identity: producer, sequence, and the first operation's key.

    `sent_at` is in milliseconds since 1970, by the sender's clock; a retry keeps it. `seen` and `if_version` speak
    of the first operation's key; `if_versions` is as `if_version`, of any of the update's keys. `note` says why, to
    those who read the history.
    """

    ops: list[Op]
    producer: str = ""
    sequence: int = 0
    sent_at: int = 0
    seen: str | None = None
    if_version: str | None = None
    note: str | None = None
    if_versions: list[tuple[str, str, str]] | None = None

    @property
    def first_key(self) -> Key:
        """The key that orders and identifies the update."""
        return self.ops[0].key

    @property
    def identity(self) -> Identity:
        """What makes a retry harmless."""
        return Identity(self.producer, self.sequence, *self.first_key)


class Identity(NamedTuple):
    """What makes a retry harmless."""

    producer: str
    sequence: int
    player_id: str
    state_key: str


class Status(StrEnum):
    """What became of an update."""

    APPLIED = "applied"
    REFUSED = "refused"
    CONFLICT = "conflict"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    DEAD = "dead"


class Reason(StrEnum):
    """Why an update was refused at apply."""

    INSUFFICIENT = "insufficient"
    RIGHTS_ELSEWHERE = "rights_elsewhere"
    NOT_HERE_YET = "not_here_yet"
    TOO_MANY_ENTRIES = "too_many_entries"
    ROW_TOO_LARGE = "row_too_large"
    TOO_MANY_PRODUCERS = "too_many_producers"


class Outcome(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """What became of an update; a repeat gets the first outcome again, marked as a duplicate."""

    status: Status
    reason: str | None = None
    duplicate: bool = False


class Effect(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one operation did, small enough to keep: a register's value is never repeated here.

    `delta` is what a counting operation came to; `set` and `replace` are worked out to deltas at apply. Of an erasure,
    `field` is the reason. `idle` are those of a set's `elements` that were there already, or not taken out; the field
    of a map that was not taken out; of a flag, which has no names in it, `[""]` where it stayed as it was.
    """

    op: str
    delta: BigInt | None = None
    item: str | None = None
    deltas: dict[str, BigInt] | None = None
    elements: list[str] | None = None
    field: str | None = None
    idle: list[str] | None = None


class Cause(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An update that a write of a row processed, with the step (`n`) that it took in the writing region.

    `of` names the update's first key where that is another one. Where it is this one, `others` names the other keys
    that the update changed; it is None in what was written before this was recorded. `note` is the update's own. Times
    are milliseconds since 1970.
    """

    n: int
    producer: str
    sequence: int
    sent_at: int
    accepted_at: int
    effects: list[Effect] = []
    status: Status = Status.APPLIED
    reason: str | None = None
    of: tuple[str, str] | None = None
    others: list[tuple[str, str]] | None = None
    note: str | None = None


class Side(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one region had when its row was joined with others: the row's version, and its value as JSON text.

    The text is empty where the sides together are too large to be kept, or where the row was from before an erasure.
    """

    region: str
    version: str
    value: str


class View(msgspec.Struct, frozen=True, gc=False):
    """What readers see of a key: its value as plain JSON, and the version that it stands at.

    A key that nobody wrote yet has the version "" and its type's empty value.
    """

    player_id: str
    state_key: str
    version: str
    value: msgspec.Raw

    @property
    def key(self) -> Key:
        """The key that is viewed."""
        return Key(self.player_id, self.state_key)

    def decoded(self) -> Json:
        """The value as Python data."""
        return msgspec.json.decode(self.value)


class Notice(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """What consumer groups are told: this view changed, and these updates did it.

    `region` is the writer of the row that changed, and `version` is that row's; `before` and `after` are the views
    around that write, as JSON, of which `total` counts the steps.
    `sides` are the rows that the write joined, where it resolved a conflict.
    `epoch` counts the erasures of the key; of the write that raised it `before` is null.
    """

    player_id: str
    state_key: str
    region: str
    version: str
    total: int
    written_at: int
    after: msgspec.Raw
    before: msgspec.Raw = msgspec.Raw(b"null")
    before_version: str = ""
    because: list[Cause] = []
    sides: list[Side] = []
    epoch: int = 0

    @property
    def key(self) -> Key:
        """The key whose view changed."""
        return Key(self.player_id, self.state_key)


class Transition(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """The audit record of one write: what changed, from what to what, when, and by which updates.

    `first` and `last` are the writing region's steps that the write took, both 0 if it took none. Every write has a
    version of its own; with key and region it is the record's identity, so recording it twice is harmless. `sides` are
    the rows that it joined, where it resolved a conflict; `epoch` counts the erasures of the key, as in the notice.
    """

    player_id: str
    state_key: str
    region: str
    first: int
    last: int
    written_at: int
    before_version: str
    version: str
    before: msgspec.Raw
    after: msgspec.Raw
    causes: list[Cause]
    sides: list[Side] = []
    epoch: int = 0


class Delivery(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """An update that came and took no step: a repeat, or one of which nobody remembers what became (`expired`).

    It is filed under the update's first key. `position` and `index` are its place on the region's stream, which makes
    recording it twice harmless; `judged_at` is when it was found to be one, in ms as all times, and `epoch` counts the
    erasures of the key by then. `outcome` is what whoever asks is answered.
    """

    player_id: str
    state_key: str
    region: str
    position: int
    index: int
    judged_at: int
    producer: str
    sequence: int
    sent_at: int
    accepted_at: int
    outcome: Outcome
    epoch: int = 0


Stage: TypeAlias = Literal["accept", "apply", "project", "link", "audit", "replicate", "resolve", "verify"]


class DeadLetter(msgspec.Struct, omit_defaults=True, frozen=True):
    """Something that a stage could not take, kept for an operator.

    `letter_id` follows from where it was found, so that finding it twice keeps one. `body` is the input as it came;
    the identity is there when it could be read. Of one that is being sent again, `tried_at` is when (ms) a try was
    begun that is not known to have ended, and `accepted` are the places (1, 2, ...) of its updates that were accepted.
    """

    letter_id: str
    stage: Stage
    at: int
    code: str
    reason: str
    body: bytes
    identity: Identity | None = None
    tried_at: int = 0
    accepted: list[int] = []
