"""Transitions and deliveries as points of InfluxDB, and back.

A point is found by its series, which is the player's slot, and its time: a nanosecond within the entry's millisecond
that follows from what identifies it. So an entry that is recorded again replaces itself. Two entries may meet, and then
the second replaces the first. Of n a second there are n * n / 2 pairs, each with a chance of one in 65,536 slots * 10^9
nanoseconds: at 2,550 a second, two meet once in 233 days, among 51,000,000,000. Within a batch that is seen, and the
second one moves to the next nanosecond; between batches it is not, but the history shows a gap, since the version that
a transition began with is then none that another one ended with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec import structs

from playerstate.backends.aws.influx_http import Row
from playerstate.backends.aws.influx_text import field, name, next_time_ns, slot, time_ns
from playerstate.core.history import at
from playerstate.core.model import Delivery, Transition
from playerstate.errors import InvariantViolated

Entry: TypeAlias = Transition | Delivery

TRANSITIONS, DELIVERIES = "transitions", "deliveries"
TEXT_CHARACTERS_MAX = 250_000
"""How much of a text goes into one field: a server takes 1,048,576 bytes, and a character may be four of them."""
_NULL = msgspec.Raw(b"null")

_decode_transition = msgspec.json.Decoder(Transition).decode
_decode_delivery = msgspec.json.Decoder(Delivery).decode
_encode = msgspec.json.encode


class Place(NamedTuple):
    """Where a point lies, and how many fields the longest of its texts takes."""

    measurement: str
    slot: str
    at_ns: int
    pieces: int


class Point(NamedTuple):
    """An entry, and the line that records it."""

    place: Place
    entry: Entry
    line: str


def points(entries: Iterable[Entry]) -> list[Point]:
    """The points of entries, of each once."""
    taken: dict[tuple[str, int], tuple[str, ...]] = {}
    made: list[Point] = []
    for entry in entries:
        identity = _identity(entry)
        where, at_ns = slot(entry.player_id), time_ns(at(entry), *identity)
        while taken.get((where, at_ns), identity) != identity:
            at_ns = next_time_ns(at_ns)
        if (where, at_ns) not in taken:
            taken[where, at_ns] = identity
            made.append(
                _transition(entry, where, at_ns) if isinstance(entry, Transition) else _delivery(entry, where, at_ns)
            )
    return made


def blank(place: Place) -> str:
    """The line that takes all that a point says, and leaves only that there was one."""
    texts = ["player", "state", "body"]
    if place.measurement == TRANSITIONS:
        texts += ["before", "after"]
        texts += [f"{text}_{n}" for text in ("before", "after", "body") for n in range(1, place.pieces)]
        return _line(place, *[f'{text}=""' for text in texts], "kept=0i,epoch=0i")
    return _line(place, *[f'{text}=""' for text in [*texts, "update", "place"]], "epoch=0i")


def entry_of(measurement: str, row: Row) -> Entry | None:
    """What a point says; None if only a part of it is there: a server shows points while they are written, or blanked.

    Raises `InvariantViolated` if nobody can have written it.
    """
    texts = {text: _joined(row, text) for text in ("body", "before", "after") if text in row}
    if not all(texts.values()):
        return None
    try:
        if measurement == DELIVERIES:
            return _decode_delivery(texts["body"])
        values = {text: msgspec.Raw(texts[text].encode()) for text in ("before", "after")}
        return structs.replace(_decode_transition(texts["body"]), **values)
    except (msgspec.DecodeError, KeyError) as exc:
        raise InvariantViolated(f"{measurement} has a point in InfluxDB that cannot be read") from exc


def place_of(delivery: Delivery) -> str:
    """Where on its region's stream a delivery was."""
    return f"{delivery.region}:{delivery.position}:{delivery.index}"


def update_name(producer: str, sequence: int) -> str:
    """What stands for an update of a key."""
    return name(producer, str(sequence))


def _identity(entry: Entry) -> tuple[str, ...]:
    if isinstance(entry, Transition):
        return entry.player_id, entry.state_key, entry.region, entry.version
    return entry.player_id, entry.state_key, entry.producer, str(entry.sequence), place_of(entry)


def _transition(one: Transition, where: str, at_ns: int) -> Point:
    texts = {
        "before": bytes(one.before).decode(),
        "after": bytes(one.after).decode(),
        "body": _encode(structs.replace(one, before=_NULL, after=_NULL)).decode(),
    }
    pieces = max(map(len, texts.values())) // TEXT_CHARACTERS_MAX + 1
    place = Place(TRANSITIONS, where, at_ns, pieces)
    numbers = f"kept=1i,epoch={one.epoch}i,pieces={pieces}i"
    return Point(place, one, _line(place, _names(one), numbers, *[_cut(text, texts[text]) for text in texts]))


def _delivery(one: Delivery, where: str, at_ns: int) -> Point:
    place = Place(DELIVERIES, where, at_ns, 1)
    update = f'update="{update_name(one.producer, one.sequence)}",place={field(place_of(one))}'
    body = f"body={field(_encode(one).decode())}"
    return Point(place, one, _line(place, _names(one), f"epoch={one.epoch}i,pieces=1i", update, body))


def _names(one: Entry) -> str:
    return f'player="{name(one.player_id)}",state="{name(one.state_key)}"'


def _line(place: Place, *fields: str) -> str:
    return f"{place.measurement},slot={place.slot} {','.join(fields)} {place.at_ns}"


def _cut(called: str, text: str) -> str:
    """A text's fields: `before`, and if it is long `before_1` and so on."""
    if len(text) < TEXT_CHARACTERS_MAX:
        return f"{called}={field(text)}"
    cuts = [text[begin : begin + TEXT_CHARACTERS_MAX] for begin in range(0, len(text), TEXT_CHARACTERS_MAX)]
    return ",".join([f"{called}{f'_{n}' if n else ''}={field(cut)}" for n, cut in enumerate(cuts)])


def _joined(row: Row, called: str) -> str:
    """What `_cut` has cut; empty if a part is missing."""
    cuts = [row[called]]
    cuts += [cut for n in range(1, row["pieces"] or 1) if (cut := row.get(f"{called}_{n}")) is not None]
    return "".join(cuts) if all(cuts) else ""
