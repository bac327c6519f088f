"""Everything that can be wrong with an update, and how it is refused; `GAME` is the schema that it is held against."""

from __future__ import annotations

from typing import Any, NamedTuple

from core.cluster import NOW_MS
from playerstate.core.model import Json
from playerstate.core.producers import RETENTION_MS
from playerstate.core.schema import parse_schema

GAME = parse_schema("""
    [game]
    name = "test"
    version = 1

    [keys.score]
    type = "counter"

    [keys.gold]
    type = "bounded_counter"
    minimum = 5

    [keys.name]
    type = "register"
    max_length = 12

    [keys.mode]
    type = "register"
    values = ["story", 1, 2.5]

    [keys.mood]
    type = "register"
    range = [-1, 1]

    [keys.rank]
    type = "max_register"
    range = [1, 50]

    [keys.best]
    type = "max_register"

    [keys.titles]
    type = "multi_register"

    [keys.online]
    type = "flag"

    [keys.friends]
    type = "set"
    max_entries = 2

    [keys.settings]
    type = "map"

    [keys.bag]
    type = "inventory"
    max_entries = 2
""")


class Bad(NamedTuple):
    """A bad input, and how it is refused."""

    what: str
    data: Json
    code: str
    where: str
    message: str


def one(key: str, name: str, **arguments: Any) -> Json:
    """An update of one operation, as plain data."""
    return whole(ops=[{"player_id": "anna", "state_key": key, "op": name, **arguments}])


def whole(**fields: Any) -> Json:
    """A good update, but for the fields that are given."""
    ops = [{"player_id": "anna", "state_key": "score", "op": "add", "n": 1}]
    return {"ops": ops, "producer": "game-1", "sequence": 1, "sent_at": NOW_MS} | fields


def player(player_id: Json) -> Json:
    """An update of a player."""
    return whole(ops=[{"player_id": player_id, "state_key": "score", "op": "add", "n": 1}])


def nested(levels: int) -> Json:
    """A list in a list in a list."""
    value: Json = 0
    for _ in range(levels):
        value = [value]
    return value


NOTE = "Expected a note of 1 to 400 printable characters"
CONTROL = "Braces and control characters are not allowed"
LENGTH = "Expected 1 to 128 characters"
NUMBER = "Expected a whole number"
OP = "$.ops[0]"


def bad_op(what: str, data: Json, code: str, argument: str, message: str) -> Bad:
    """A bad operation; `argument` is what is wrong in it."""
    return Bad(what, data, code, f"{OP}.{argument}", message)


BAD = [
    # the update as a whole
    Bad("a list", [], "wrong_shape", "$", "Expected `object`, got `array`"),
    Bad("a text", "x", "wrong_shape", "$", "Expected `object`, got `str`"),
    Bad("null", None, "wrong_shape", "$", "Expected `object`, got `null`"),
    Bad("no operations", {}, "wrong_shape", "$", "Object missing required field `ops`"),
    Bad("an unknown field", whole(extra=1), "wrong_shape", "$", "Object contains unknown field `extra`"),
    Bad("no list of operations", whole(ops={}), "wrong_shape", "$.ops", "Expected `array`, got `object`"),
    Bad("an empty update", whole(ops=[]), "empty", "$.ops", "An update has at least one operation"),
    Bad(
        "10,000 operations",
        whole(ops=whole()["ops"] * 10_000),
        "too_many_operations",
        "$.ops",
        "An update has at most 25 operations, got 10000",
    ),
    Bad(
        "21 keys",
        whole(ops=[{"player_id": f"p{n}", "state_key": "score", "op": "add", "n": 1} for n in range(21)]),
        "too_many_keys",
        "$.ops",
        "An update changes at most 20 keys",
    ),
    # identity and times
    Bad(
        "a sequence of 0",
        whole(sequence=0),
        "bad_sequence",
        "$.sequence",
        "Expected a sequence of 1 to 9007199254740992",
    ),
    Bad("a sequence below 0", whole(sequence=-1), "bad_sequence", "$.sequence", "Expected a sequence of 1 to "),
    Bad(
        "a sequence beyond 2^53",
        whole(sequence=2**53 + 1),
        "bad_sequence",
        "$.sequence",
        "Expected a sequence of 1 to ",
    ),
    Bad("a sequence as text", whole(sequence="1"), "wrong_shape", "$.sequence", "Expected `int`, got `str`"),
    Bad("no producer", whole(producer=""), "bad_name", "$.producer", LENGTH),
    Bad("a producer of 129", whole(producer="x" * 129), "bad_name", "$.producer", LENGTH),
    Bad("a producer with a brace", whole(producer="a{b"), "bad_name", "$.producer", CONTROL),
    Bad(
        "a producer of accept's",
        whole(producer="@x"),
        "bad_name",
        "$.producer",
        "A client's producer does not begin with @",
    ),
    Bad("sent_at as text", whole(sent_at="now"), "wrong_shape", "$.sent_at", "Expected `int`, got `str`"),
    Bad("sent_at as a fraction", whole(sent_at=1.5), "wrong_shape", "$.sent_at", "Expected `int`, got `float`"),
    Bad(
        "sent_at long ago",
        whole(sent_at=NOW_MS - RETENTION_MS - 1),
        "too_old",
        "$.sent_at",
        "sent_at is more than 48 h in the past",
    ),
    Bad("sent_at below 0", whole(sent_at=-1), "too_old", "$.sent_at", "sent_at is more than 48 h in the past"),
    Bad(
        "sent_at in the future",
        whole(sent_at=NOW_MS + 3_600_001),
        "too_new",
        "$.sent_at",
        "sent_at is more than 60 min in the future",
    ),
    Bad(
        "seen is no version",
        whole(seen="x"),
        "bad_version",
        "$.seen",
        "Expected a version such as `us-east-1:12`, got 'x'",
    ),
    Bad(
        "if_version is no version", whole(if_version="a:0"), "bad_version", "$.if_version", "Expected a version such as"
    ),
    Bad(
        "if_versions of a key that is not the update's",
        whole(if_versions=[["anna", "gold", "a:1"]]),
        "bad_version",
        "$.if_versions[0]",
        "Expected one of the update's own keys",
    ),
    Bad(
        "if_versions with no version",
        whole(if_versions=[["anna", "score", "a:1"], ["anna", "score", "a"]]),
        "bad_version",
        "$.if_versions[1]",
        "Expected a version such as",
    ),
    Bad("a note that says nothing", whole(note=" "), "bad_note", "$.note", NOTE),
    Bad("a note of 401", whole(note="x" * 401), "bad_note", "$.note", NOTE),
    Bad("a note with a line", whole(note="a\nb"), "bad_note", "$.note", NOTE),
    Bad("a note as a number", whole(note=1), "wrong_shape", "$.note", "Expected `str | null`, got `int`"),
    Bad("seen is a number", whole(seen=1), "wrong_shape", "$.seen", "Expected `str | null`, got `int`"),
    # an operation's names
    bad_op("a player as a number", player(1), "wrong_shape", "player_id", "Expected `str`, got `int`"),
    bad_op("an empty player", player(""), "bad_name", "player_id", LENGTH),
    bad_op("a player of 129", player("x" * 129), "bad_name", "player_id", LENGTH),
    bad_op("a player with a brace", player("a}"), "bad_name", "player_id", CONTROL),
    bad_op("a player with a tab", player("a\tb"), "bad_name", "player_id", CONTROL),
    bad_op("a player with a zero byte", player("a\0"), "bad_name", "player_id", CONTROL),
    bad_op("an unknown key", one("silver", "add", n=1), "unknown_key", "state_key", "The schema has no key 'silver'"),
    bad_op("an unknown key of 1,000", one("x" * 1000, "add"), "unknown_key", "state_key", "The schema has no key 'xxx"),
    bad_op("a key with a line", one("go\nld", "add", n=1), "bad_name", "state_key", CONTROL),
    bad_op(
        "an unknown operation",
        one("score", "double"),
        "unknown_operation",
        "op",
        "A counter has no operation 'double'; it has add",
    ),
    bad_op(
        "another type's operation",
        one("online", "add", n=1),
        "unknown_operation",
        "op",
        "A flag has no operation 'add'; it has disable, enable",
    ),
    bad_op(
        "a missing argument", one("score", "add"), "missing_argument", "n", "The operation add of a counter needs `n`"
    ),
    bad_op(
        "an argument too many",
        one("score", "add", n=1, item="x"),
        "unexpected_argument",
        "item",
        "The operation add of a counter takes no `item`",
    ),
    Bad(
        "an unknown argument",
        one("score", "add", n=1, amount=1),
        "wrong_shape",
        OP,
        "Object contains unknown field `amount`",
    ),
    # numbers
    bad_op("n as a fraction", one("score", "add", n=1.0), "wrong_shape", "n", "Expected `int | str`, got `float`"),
    bad_op("n as true", one("score", "add", n=True), "wrong_shape", "n", "Expected `int | str`, got `bool`"),
    bad_op("n as null", one("score", "add", n=None), "wrong_shape", "n", "Expected `int | str`, got `null`"),
    bad_op("n as a word", one("score", "add", n="many"), "bad_number", "n", "Expected a whole number, got 'many'"),
    bad_op(
        "n of 39 digits",
        one("score", "add", n="1" + "0" * 38),
        "out_of_range",
        "n",
        "Expected a number of at most 38 digits",
    ),
    bad_op(
        "a negative amount",
        one("gold", "subtract", n=-1),
        "out_of_range",
        "n",
        "Expected a number of 0 or more, got -1",
    ),
    bad_op(
        "a target below the minimum",
        one("gold", "set", n=4),
        "out_of_range",
        "n",
        "Expected a number of 5 or more, got 4",
    ),
    bad_op(
        "a rank out of range", one("rank", "set", value=51), "out_of_range", "value", "The number is not within 1 to 50"
    ),
    bad_op("a rank as a fraction", one("rank", "set", value=1.5), "bad_number", "value", NUMBER),
    bad_op("a rank as true", one("rank", "set", value=True), "bad_number", "value", NUMBER),
    bad_op("a rank as null", one("rank", "set", value=None), "bad_number", "value", NUMBER),
    # values
    bad_op(
        "a value too long",
        one("name", "set", value="x" * 13),
        "too_long",
        "value",
        "The value's length is 13, the key allows 12",
    ),
    bad_op(
        "a value too large",
        one("name", "set", value=[1] * 6),
        "too_long",
        "value",
        "The value's length is 13, the key allows 12",
    ),
    bad_op(
        "a value too deep",
        one("titles", "set", value=nested(17)),
        "too_deep",
        "value" + "[0]" * 16,
        "The value is nested deeper than 16 levels",
    ),
    bad_op(
        "an integer beyond 2^53",
        one("name", "set", value=[2**53 + 1]),
        "out_of_range",
        "value[0]",
        "A whole number beyond 2^53 must be sent as text",
    ),
    bad_op(
        "a value not allowed",
        one("mode", "set", value="arena"),
        "not_allowed",
        "value",
        "The value is not one of those that the key allows",
    ),
    bad_op(
        "true where 1 is allowed",
        one("mode", "set", value=True),
        "not_allowed",
        "value",
        "The value is not one of those",
    ),
    bad_op(
        "a number out of range",
        one("mood", "set", value=1.01),
        "out_of_range",
        "value",
        "The number is not within -1 to 1",
    ),
    bad_op("a text where a number must be", one("mood", "set", value="1"), "bad_number", "value", "Expected a number"),
    bad_op("true where a number must be", one("mood", "set", value=True), "bad_number", "value", "Expected a number"),
    # items, elements and fields
    bad_op(
        "no elements",
        one("friends", "add", elements=[]),
        "too_many_entries",
        "elements",
        "Expected 1 to 2 elements, got 0",
    ),
    bad_op(
        "too many elements",
        one("friends", "add", elements=["a", "b", "c"]),
        "too_many_entries",
        "elements",
        "Expected 1 to 2 elements, got 3",
    ),
    bad_op(
        "an element as a number",
        one("friends", "add", elements=["a", 1]),
        "wrong_shape",
        "elements[1]",
        "Expected `str`, got `int`",
    ),
    bad_op("an empty element", one("friends", "add", elements=["a", ""]), "bad_name", "elements[1]", LENGTH),
    bad_op(
        "an element with a line",
        one("friends", "add", elements=["a\n"]),
        "bad_name",
        "elements[0]",
        "Control characters are not allowed",
    ),
    bad_op("an empty field", one("settings", "set", field="", value=1), "bad_name", "field", LENGTH),
    bad_op("an empty item", one("bag", "add", item="", n=1), "bad_name", "item", LENGTH),
    bad_op("an item of 129", one("bag", "add", item="x" * 129, n=1), "bad_name", "item", LENGTH),
    bad_op(
        "too many items",
        one("bag", "replace", items={"a": 1, "b": 1, "c": 1}),
        "too_many_entries",
        "items",
        "3 items are given, the key allows 2",
    ),
    bad_op(
        "a negative item",
        one("bag", "replace", items={"a": -1}),
        "out_of_range",
        "items.a",
        "Expected a number of 0 or more, got -1",
    ),
    bad_op(
        "an item as a word",
        one("bag", "replace", items={"a": "x"}),
        "bad_number",
        "items.a",
        "Expected a whole number, got 'x'",
    ),
    bad_op(
        "items as a list", one("bag", "replace", items=["a"]), "wrong_shape", "items", "Expected `object`, got `array`"
    ),
]
