"""What a dead letter, and the record of one that has gone, are in the control table: several items each. Pure.

A letter's head is all of it but what it held, which is an item of its own, so that lists and counts do not read it
(`letter_bodies` says what is kept of it). The other items are there to find it by. Identities and players may be of any
length where an update was malformed, so that names have hashes of them.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import structs

from playerstate.backends.aws.control import (
    DEAD,
    FORGOTTEN,
    GONE,
    GONE_AT,
    GONE_OF,
    LETTER,
    LETTER_BODY,
    LETTER_FOUND,
    LETTER_PUT,
    Item,
    Name,
    Operator,
    Value,
)
from playerstate.backends.aws.letter_bodies import fitting, whole_body
from playerstate.core.letters import Ending, GoneLetter, LetterFilter, fingerprint
from playerstate.core.model import DeadLetter, Identity

LETTER_ITEMS_MAX, ENDING_ITEMS_MAX = 5, 9
"""At most so many items are written for a letter that is put, and for one that ends; none is there twice."""

PRODUCER_LENGTH_MAX = 512

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DeadLetter).decode
_decode_gone = msgspec.msgpack.Decoder(GoneLetter).decode


def number_text(number: int) -> str:
    """A number, or a time in ms, so that its texts sort as numbers do."""
    return f"{max(number, 0):016d}"


def dead_partition(identity: Identity) -> str:
    """Where an update's letters and records are named."""
    return DEAD + hashlib.sha256(_encode(identity)).hexdigest()


def letter_items(letter: DeadLetter, number: int) -> list[Item]:
    """The items of the letter that is put as the `number`-th, its head and its body first.

    The fingerprint is of all that it held, also where not all of that is kept: so it is known when it is found again.
    """
    print_ = fingerprint(letter)
    letter, body, compressed = fitting(letter)
    found = {"letter_id": letter.letter_id}
    items: list[Item] = [
        {
            "pk": LETTER,
            "sk": letter.letter_id,
            **_searched(letter),
            "number": number,
            "fingerprint": print_,
            "head": _encode(structs.replace(letter, body=b"")),
        },
        {"pk": LETTER_BODY, "sk": letter.letter_id, "body": body, "compressed": int(compressed)},
        {**_found_name(letter.at, number)._asdict(), **found},
        {"pk": LETTER_PUT, "sk": number_text(number), **found},
    ]
    if letter.identity:
        items.append({"pk": dead_partition(letter.identity), "sk": f"letter#{letter.letter_id}", "code": letter.code})
    return items


def letter_names(head: Item) -> list[Name]:
    """The names of all items of a letter."""
    letter_id, letter = head["sk"], head_of(head)
    names = [
        Name(LETTER, letter_id),
        Name(LETTER_BODY, letter_id),
        _found_name(letter.at, head["number"]),
        Name(LETTER_PUT, number_text(head["number"])),
    ]
    return [*names, Name(dead_partition(letter.identity), f"letter#{letter_id}")] if letter.identity else names


def record_items(head: Item, counts: Item, ending: Ending) -> list[Item]:
    """The items of the record of a letter that goes, by the counts with itself among the `gone`; the record first."""
    letter, number = head_of(head), counts["gone"]
    place = number_text(number)
    gone = GoneLetter(number, letter.letter_id, letter.stage, letter.at, letter.code, letter.identity, ending)
    items: list[Item] = [
        {"pk": GONE, "sk": place, **_searched(letter), "put": counts["put"], "record": _encode(gone)},
        {"pk": GONE_AT, "sk": f"{number_text(ending.at)}#{place}", "number": number},
        {"pk": GONE_OF + letter.letter_id, "sk": place, "number": number, "fingerprint": head["fingerprint"]},
    ]
    if letter.identity:
        items.append({"pk": dead_partition(letter.identity), "sk": f"gone#{place}", "code": letter.code})
    return items


def record_names(gone: GoneLetter) -> list[Name]:
    """The names of all items of a record."""
    place = number_text(gone.number)
    names = [
        Name(GONE, place),
        Name(GONE_AT, f"{number_text(gone.ending.at)}#{place}"),
        Name(GONE_OF + gone.letter_id, place),
    ]
    return [*names, Name(dead_partition(gone.identity), f"gone#{place}")] if gone.identity else names


def without_reason(item: Item) -> Item:
    """A record that does not say any more why its letter went."""
    gone = record_of(item)
    return {**item, "record": _encode(structs.replace(gone, ending=structs.replace(gone.ending, reason="")))}


def head_of(item: Item) -> DeadLetter:
    """A letter without what it held."""
    return _decode(item["head"])


def body_of(item: Item) -> bytes:
    """What a letter held, or as much of it as is kept."""
    return whole_body(item["body"], compressed=bool(item["compressed"]))


def record_of(item: Item) -> GoneLetter:
    """A record."""
    return _decode_gone(item["record"])


def searched_for(where: LetterFilter) -> dict[str, tuple[Operator, Value]]:
    """A filter as conditions on heads and records."""
    conditions: dict[str, tuple[Operator, Value]] = {}
    if where.stage is not None:
        conditions["stage"] = ("=", where.stage)
    if where.code is not None:
        conditions["code"] = ("=", where.code)
    if where.player_id is not None:
        conditions["player"] = ("=", _hashed(where.player_id))
    if where.before is not None:
        conditions["at"] = ("<", where.before)
    return conditions


def forgotten_name(producer: str) -> Name:
    """Where it is kept how far an own producer's dead are forgotten; what only looks like one may be of any length."""
    text = producer if producer.isascii() and len(producer) <= PRODUCER_LENGTH_MAX else _hashed(producer)
    return Name(FORGOTTEN, text)


def _searched(letter: DeadLetter) -> Item:
    item: Item = {"stage": letter.stage, "code": letter.code, "at": letter.at}
    return {**item, "player": _hashed(letter.identity.player_id)} if letter.identity else item


def _found_name(at: int, number: int) -> Name:
    return Name(LETTER_FOUND, f"{number_text(at)}#{number_text(number)}")


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
