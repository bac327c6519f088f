"""`game.toml`: what it says, every way in which it can be wrong, and which schema may follow which."""

from __future__ import annotations

import re

import pytest

from playerstate.core.schema import (
    Edge,
    KeySpec,
    Schema,
    check_successor,
    format_schema,
    load_schema,
    parse_schema,
)
from playerstate.errors import SchemaRefused

HEAD = '[game]\nname = "test"\nversion = 1\n'


def schema(keys: str, *, version: int = 1) -> Schema:
    return parse_schema(f'[game]\nname = "test"\nversion = {version}\n{keys}')


def test_a_schema_with_everything() -> None:
    """Every setting arrives where it belongs; what is left out has its default."""
    parsed = schema("""
        [keys.gold]
        type = "bounded_counter"
        minimum = -10
        initial = 90
        home = "eu-west-1"
        published = false

        [keys.rank]
        type = "max_register"
        range = [1, 50]

        [keys.mode]
        type = "register"
        values = ["story", "arena", 3, true]
        max_length = 20

        [keys.friends]
        type = "set"
        max_entries = 500
        edge = { label = "FRIEND" }
    """)
    gold = KeySpec(type="bounded_counter", minimum=-10, initial=90, home="eu-west-1", published=False)
    assert parsed.keys["gold"] == gold
    assert gold.start == 90
    assert parsed.keys["rank"] == KeySpec(type="max_register", range=(1, 50))
    assert parsed.keys["mode"] == KeySpec(type="register", values=["story", "arena", 3, True], max_length=20)
    assert parsed.keys["friends"] == KeySpec(type="set", max_entries=500, edge=Edge("FRIEND", "Player"))
    assert parsed.edge_keys() == {"friends": Edge("FRIEND", "Player")}
    assert parsed.version == 1
    assert KeySpec(type="bounded_counter", minimum=3).start == 3


def test_a_schema_survives_being_kept() -> None:
    """What is stored beside the state says the same when it is read again."""
    parsed = schema("""
        [keys.gold]
        type = "bounded_counter"
        minimum = -99999999999999999999999999999999999999

        [keys.mode]
        type = "register"
        values = [[1, 2.5], { a = "b" }, ""]
        range = [-1.5, 9007199254740993]
    """)
    assert load_schema(format_schema(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[game", "The schema is not TOML: "),
        ("[game]\nname = 1\nname = 2", "The schema is not TOML: "),
        ("", "Object missing required field `game`"),
        ('[game]\nname = "x"\n[keys.a]\ntype = "flag"', "missing required field `version` - at `$.game`"),
        ('[game]\nname = "x"\nversion = "1"\n[keys]', "Expected `int`, got `str` - at `$.game.version`"),
        ('[game]\nname = "x"\nversion = 0\n[keys.a]\ntype = "flag"', "game.version starts at 1"),
        (f"{HEAD}", "missing required field `keys`"),
        (f"{HEAD}[keys]", "it declares no keys"),
        (f"{HEAD}[keys.a]", "missing required field `type` - at `$.keys.a`"),
        (
            f'{HEAD}[keys.a]\ntype = "list"',
            "Invalid enum value 'list' - at `$.keys.a.type`; the types are counter, bounded_",
        ),
        (f"{HEAD}[keys.a]\ntype = 5", "Expected `str`, got `int` - at `$.keys.a.type`; the types are counter, "),
        (f'{HEAD}[keys.a]\ntype = "set"\n[keys.b]\ntype = "x - at `$.y`"', "'x - at `$.y`' - at `$.keys.b.type`; the"),
        (f"{HEAD}[keys]\na = 5", "Expected `object`, got `int` - at `$.keys.a`"),
        (f"keys = 5\n{HEAD}", "Expected `object`, got `int` - at `$.keys`"),
        (f'{HEAD}[keys.a]\ntype = "set"\nedge = {{ to = "A" }}', "field `label` - at `$.keys.a.edge`"),
        (f'{HEAD}[keys.a]\ntype = "flag"\nmax = 1', "Object contains unknown field `max` - at `$.keys.a`"),
        (f'{HEAD}[keys.a]\ntype = "flag"\n[extra]', "Object contains unknown field `extra`"),
        (f'{HEAD}[keys.a]\ntype = "set"\nmax_entries = 1.5', "Expected `int`, got `float`"),
    ],
)
def test_what_is_no_schema_is_refused(text: str, message: str) -> None:
    """Saying what and where, also in which key, and which types there are."""
    with pytest.raises(SchemaRefused, match=re.escape(message)):
        parse_schema(text)


@pytest.mark.parametrize("name", ['""', '"a#b"', '"a{b"', '"a}b"', '"a\\nb"', f'"{"x" * 65}"'])
def test_a_key_s_name_is_a_plain_short_text(name: str) -> None:
    """It stands in the store's range key before the region, and in the cache's field."""
    with pytest.raises(SchemaRefused, match=r"(?s)The schema is wrong: keys\..*: a key's name h"):
        parse_schema(f'{HEAD}[keys.{name}]\ntype = "flag"')


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('type = "counter"\nminimum = 1', "only a bounded_counter has minimum, initial or home"),
        ('type = "counter"\ninitial = 0', "only a bounded_counter has minimum, initial or home"),
        ('type = "inventory"\nhome = "eu"', "only a bounded_counter has minimum, initial or home"),
        ('type = "bounded_counter"\nminimum = 5\ninitial = 4', "initial 4 is below minimum 5"),
        ('type = "bounded_counter"\ninitial = 1', "a counter that starts above its minimum needs a home region"),
        ('type = "bounded_counter"\ninitial = 1\nhome = ""', "a counter that starts above its minimum needs a home"),
        ('type = "bounded_counter"\nhome = "eu:1"', "a region's name holds no #, colon, comma, brace"),
        ('type = "bounded_counter"\nhome = "eu,us"', "a region's name holds no #, colon, comma, brace"),
        (f'type = "bounded_counter"\nminimum = -1{"0" * 38}', "minimum and initial have at most 38 digits"),
        ('type = "set"\nmax_entries = 0', "max_entries and max_length start at 1"),
        ('type = "register"\nmax_length = 0', "max_entries and max_length start at 1"),
        ('type = "set"\nrange = [1, 2]', "a set has no range"),
        ('type = "register"\nrange = [2, 1]', "the range is empty"),
        ('type = "register"\nrange = [0, inf]', "the range's ends are finite numbers"),
        ('type = "register"\nrange = [nan, 1]', "the range's ends are finite numbers"),
        ('type = "max_register"\nvalues = [1]', "a max_register has no list of values"),
        ('type = "register"\nvalues = [2020-01-01]', "the values are plain JSON"),
        ('type = "register"\nvalues = [nan]', "the values are plain JSON"),
        ('type = "inventory"\nedge = { label = "HAS" }', "only register and set keys make edges"),
        ('type = "set"\nedge = { label = "HAS FRIEND" }', "'HAS FRIEND' is no graph label"),
        ('type = "set"\nedge = { label = "FRIEND", to = "1st" }', "'1st' is no graph label"),
        (f'type = "set"\nedge = {{ label = "{"F" * 64}" }}', "'" + "F" * 64 + "' is no graph label"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: str, message: str) -> None:
    """Naming the key."""
    with pytest.raises(SchemaRefused, match=re.escape(f"The schema is wrong: keys.a: {message}")):
        parse_schema(f"{HEAD}[keys.a]\n{settings}")


GOLD = '[keys.gold]\ntype = "bounded_counter"\nminimum = 0\ninitial = 5\nhome = "eu"\n'
NAME = '[keys.name]\ntype = "register"\n'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (schema(GOLD), schema(GOLD)),
        (schema(GOLD), schema(GOLD, version=2)),
        (schema(GOLD), schema(GOLD + NAME, version=2)),
        (schema(NAME), schema(NAME + "max_length = 10\npublished = false\n", version=2)),
        (schema(GOLD.replace("initial = 5", "")), schema(GOLD.replace("initial = 5", "initial = 0"), version=2)),
    ],
    ids=["the same", "only the version", "a new key", "other limits", "the same start in other words"],
)
def test_a_schema_may_follow(old: Schema, new: Schema) -> None:
    """Where the state that is stored means what it meant."""
    check_successor(old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (schema(NAME, version=2), schema(NAME), "written under schema version 2, this is version 1"),
        (schema(GOLD + NAME), schema(GOLD, version=2), "keys.name may have state and cannot be taken out"),
        (
            schema(NAME),
            schema(NAME.replace("register", "set"), version=2),
            "keys.name is stored as register and cannot",
        ),
        (schema(GOLD), schema(GOLD.replace("minimum = 0", "minimum = 1"), version=2), "keys.gold: `minimum` cannot"),
        (schema(GOLD), schema(GOLD.replace("initial = 5", "initial = 6"), version=2), "keys.gold: `start` cannot"),
        (schema(GOLD), schema(GOLD.replace('"eu"', '"us"'), version=2), "keys.gold: `home` cannot"),
        (schema(NAME), schema(NAME + GOLD), "changed but still says version 1; raise game.version"),
        (schema(NAME), schema(NAME + "max_length = 9"), "changed but still says version 1; raise game.version"),
    ],
)
def test_a_schema_may_not_follow(old: Schema, new: Schema, message: str) -> None:
    """Saying which key, and what to do."""
    with pytest.raises(SchemaRefused, match=re.escape(message)):
        check_successor(old, new)


@pytest.mark.parametrize(
    ("label", "to"),
    [("Player", "Player"), ("Synced", "Player"), ("player", "Player"), ("GUILD", "Guild"), ("X", "synced")],
)
def test_names_that_a_graph_cannot_tell_apart_are_refused(label: str, to: str) -> None:
    """Labels of edges and kinds of vertices share one space of names, in which case does not count."""
    text = f'[game]\nname = "t"\nversion = 1\n[keys.friends]\ntype = "set"\nedge = {{ label = "{label}", to = "{to}" }}'
    with pytest.raises(SchemaRefused, match="cannot tell"):
        parse_schema(text)


def test_edges_cannot_be_taken_away() -> None:
    """They would stay in the graph for good; a label may change, which the key's next version follows."""
    text = '[game]\nname = "t"\nversion = {0}\n[keys.friends]\ntype = "set"\n{1}'
    old = parse_schema(text.format(1, 'edge = { label = "FRIEND" }'))
    with pytest.raises(SchemaRefused, match="cannot be taken away"):
        check_successor(old, parse_schema(text.format(2, "")))
    check_successor(old, parse_schema(text.format(2, 'edge = { label = "PAL" }')))
