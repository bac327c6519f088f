"""Valid things to test with: updates, rows, writes, transitions, dead letters.

What a test does not say of them does not matter to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from playerstate.core.model import Cause, DeadLetter, Effect, Identity, Key, Op, Stage, Transition, Update
from playerstate.core.replica import Write
from playerstate.core.row import Row
from playerstate.core.version_vector import VersionVector, format_vector
from playerstate.core.wire import ROW_VERSION, encode_row

NOW_MS = 1_700_000_000_000
REGION = "eu-west-1"
KEY = Key("anna", "gold")


def op(name: str = "add", *, player_id: str = "anna", state_key: str = "gold", **arguments: Any) -> Op:
    """An operation; `add` without arguments adds 1."""
    if name == "add" and not arguments:
        arguments = {"n": 1}
    return Op(player_id, state_key, name, **arguments)


def update(*ops: Op, producer: str = "game-1", sequence: int = 1, sent_at: int = NOW_MS, **rest: Any) -> Update:
    """An update; without operations, one that adds 1."""
    return Update(list(ops) or [op()], producer, sequence, sent_at, **rest)


def row_bytes(
    vector: VersionVector, *, parts: VersionVector | None = None, causes: Sequence[Cause] = (), written_at: int = NOW_MS
) -> bytes:
    """A counter's row in which every region has added as much as `parts` says, otherwise 1 at every step."""
    state = dict(vector if parts is None else parts)
    row = Row(ROW_VERSION, "counter", 1, written_at, 0, dict(vector), state, {}, list(causes))
    return encode_row(row)


def write(key: Key, n: int, *, after: Write | None = None, region: str = REGION) -> Write:
    """The write of a counter's row that takes the region to step `n`, upon the write `after` or an absent row."""
    vector = {region: n}
    return Write(
        key,
        region,
        seen=after.version if after else None,
        version=format_vector(vector),
        old=after.new if after else None,
        new=row_bytes(vector, causes=[cause(n)]),
    )


def cause(n: int, *, delta: int = 1, producer: str = "game-1") -> Cause:
    """An applied update that took step `n` and added `delta`."""
    return Cause(n, producer, n, NOW_MS, NOW_MS, [Effect("add", delta=delta)])


def transition(
    first: int = 1,
    *,
    player_id: str = "anna",
    state_key: str = "gold",
    region: str = REGION,
    written_at: int = NOW_MS,
    before: bytes = b"0",
    after: bytes = b"1",
    causes: Sequence[Cause] | None = None,
    epoch: int = 0,
) -> Transition:
    """The record of a write that took one step, or one for each of `causes`."""
    taken = [cause(first)] if causes is None else list(causes)
    last = first + len(taken) - 1
    return Transition(
        player_id,
        state_key,
        region,
        first,
        last,
        written_at,
        before_version=format_vector({region: first - 1}),
        version=format_vector({region: last}),
        before=msgspec.Raw(before),
        after=msgspec.Raw(after),
        causes=taken,
        epoch=epoch,
    )


def letter(
    letter_id: str = "1700000000000-1",
    *,
    stage: Stage = "apply",
    body: bytes = b"\xff not an update",
    identity: Identity | None = None,
) -> DeadLetter:
    """A dead letter."""
    return DeadLetter(letter_id, stage, NOW_MS, "malformed", "The update is malformed", body, identity)
