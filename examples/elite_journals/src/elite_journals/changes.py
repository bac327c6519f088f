"""The words in which `mapping` says what an event means: each makes a part of an update out of an event's
fields.

A part is a function from an event to changes. It raises `NotUnderstood` when the event lacks what the part
needs, and returns no changes when the event says that nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

Event: TypeAlias = Mapping[str, Any]

NUMBER_MAX = 2**53
"""Beyond it JSON readers disagree about a number, and no amount in the game comes near."""


class Change(NamedTuple):
    """An operation on a key of the event's player."""

    state_key: str
    op: str
    arguments: dict[str, Any]


Part: TypeAlias = Callable[[Event], list[Change]]


class NotUnderstood(Exception):
    """The event does not have the form that its name promises."""


def money(*, spent: tuple[str, ...] = (), earned: tuple[str, ...] = (), optional: bool = False) -> Part:
    """Credits by what all the fields come to. Each field may be absent, but all of them only if that is
    `optional`.

    They are netted, because the game asks for the difference only: who trades a module in pays what is left.
    """

    def part(event: Event) -> list[Change]:
        if not optional and not any(field in event for field in (*spent, *earned)):
            raise NotUnderstood
        gain = sum(whole(event.get(field, 0)) for field in earned)
        return credits_by(gain - sum(whole(event.get(field, 0)) for field in spent))

    return part


def credits_by(delta: int) -> list[Change]:
    """Credits up or down."""
    if not delta:
        return []
    return [Change("credits", "add" if delta > 0 else "subtract", {"n": abs(delta)})]


def credits_are(field: str) -> Part:
    """A snapshot of the credits."""
    return lambda event: [Change("credits", "set", {"n": whole(event.get(field))})]


def gain(key: str, item: str, count: str | None = None) -> Part:
    """So many of the item that a field names, or one of it."""
    return lambda event: counted(key, "add", event.get(item), event.get(count) if count else 1)


def lose(key: str, item: str, count: str | None = None) -> Part:
    """The opposite of `gain`."""
    return lambda event: counted(key, "subtract", event.get(item), event.get(count) if count else 1)


def gain_all(key: str, field: str) -> Part:
    """Every `{Name, Count}` of a list that may be absent."""
    return lambda event: _all(key, "add", event.get(field, []))


def lose_all(key: str, field: str) -> Part:
    """The opposite of `gain_all`."""
    return lambda event: _all(key, "subtract", event.get(field, []))


def holds(key: str, *fields: str) -> Part:
    """A snapshot of an inventory: the lists of `{Name, Count}` in the fields together. Absent lists are not
    empty ones.
    """

    def part(event: Event) -> list[Change]:
        items: dict[str, int] = {}
        for field in fields:
            for name, n in _entries(event.get(field)):
                # the same item stands in several entries when some of it is stolen, or belongs to a mission
                items[name] = items.get(name, 0) + n
        return [Change(key, "replace", {"items": {name: n for name, n in items.items() if n}})]

    return part


def is_now(key: str, field: str) -> Part:
    """A register takes over a field: a text, or a number."""

    def part(event: Event) -> list[Change]:
        value = event.get(field)
        return [Change(key, "set", {"value": name(value) if isinstance(value, str) else whole(value)})]

    return part


def is_no_more(key: str) -> Part:
    """A register is emptied."""
    return lambda _: [Change(key, "set", {"value": None})]


def reaches(key: str, field: str) -> Part:
    """A rank that the event may or may not speak of."""
    return lambda event: [Change(key, "set", {"value": whole(event[field])})] if field in event else []


def switch(key: str, *, on: bool) -> Part:
    """A flag is turned on or off by the event as such."""
    return lambda _: [Change(key, "enable" if on else "disable", {})]


def counted(key: str, op: str, item: object, count: object) -> list[Change]:
    """One change of one item; none if its amount is zero."""
    n = whole(count)
    return [Change(key, op, {"item": item_name(item), "n": n})] if n else []


def item_name(value: object) -> str:
    """An item's one name: `$Platinum_Name;`, `Platinum` and `platinum` are the same thing in different
    events.
    """
    text = name(value).lower()
    if text.startswith("$"):
        text = text[1:].removesuffix(";").removesuffix("_name")
    return name(text)


def name(value: object) -> str:
    """A text that can name something."""
    if not isinstance(value, str) or not value:
        raise NotUnderstood
    return value


def whole(value: object) -> int:
    """A whole number of 0 or more; the journal writes some of them as floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= NUMBER_MAX:
        raise NotUnderstood
    return value


def mapping(value: object) -> Event:
    """An object inside an event."""
    if not isinstance(value, Mapping):
        raise NotUnderstood
    return value


def listed(value: object) -> list[Event]:
    """A list of objects inside an event."""
    if not isinstance(value, list):
        raise NotUnderstood
    return [mapping(entry) for entry in value]


def _all(key: str, op: str, value: object) -> list[Change]:
    return [change for item, n in _entries(value) for change in counted(key, op, item, n)]


def _entries(value: object) -> list[tuple[str, int]]:
    return [(item_name(entry.get("Name")), whole(entry.get("Count"))) for entry in listed(value)]
