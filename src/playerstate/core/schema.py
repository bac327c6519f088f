"""The schema of a game: which keys its players have, of which type, within which limits.

It is read from `game.toml`:

    [game]
    name = "my-game"
    version = 1

    [keys.gold]
    type = "bounded_counter"
    minimum = 0

    [keys.friends]
    type = "set"
    max_entries = 500
    edge = { label = "FRIEND", to = "Player" }
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

from playerstate.core.model import Json
from playerstate.core.numbers import DIGITS_MAX
from playerstate.errors import SchemaRefused

TypeName = Literal[
    "counter",
    "bounded_counter",
    "register",
    "multi_register",
    "max_register",
    "min_register",
    "flag",
    "set",
    "map",
    "inventory",
]

_TYPE_NAMES: tuple[TypeName, ...] = get_args(TypeName)
_WHERE = re.compile(r"(.*) - at `\$([^`]*)`", re.DOTALL)
"""What msgspec says is wrong, and the path to it; without one it is the whole."""
_GRAPH_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_EDGE_TYPES = frozenset({"set", "register"})
_VALUE_TYPES = frozenset({"register", "multi_register", "map"})
_NUMBER_TYPES = frozenset({"register", "multi_register", "max_register", "min_register", "map"})


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The edges that a key makes in the graph: from the player to a set's elements, or a register's value."""

    label: str
    to: str = "Player"


class KeySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the schema says of one key.

    `minimum` and `initial` are a bounded counter's; `home` is the region that starts with its rights. `range` bounds
    numbers, `values` lists what is allowed, `max_length` counts a text's characters or a value's JSON bytes.
    """

    type: TypeName
    minimum: int = 0
    initial: int | None = None
    home: str | None = None
    range: tuple[int | float, int | float] | None = None
    values: list[Json] | None = None
    max_entries: int = 10_000
    max_length: int = 16_384
    published: bool = True
    edge: Edge | None = None

    @property
    def start(self) -> int:
        """The value that a bounded counter begins with."""
        return self.minimum if self.initial is None else self.initial


class _Game(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    version: int


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A game's declared keys. `version` rises with every change that older processes must not touch."""

    game: _Game
    keys: dict[str, KeySpec]

    @property
    def version(self) -> int:
        """The schema's version, which every row records."""
        return self.game.version

    def edge_keys(self) -> dict[str, Edge]:
        """The keys that make edges in the graph."""
        return {name: spec.edge for name, spec in self.keys.items() if spec.edge}


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A schema whose keys have not been looked at yet."""

    game: _Game
    keys: dict[str, Any]


def parse_schema(text: str) -> Schema:
    """Read `game.toml`.

    Raises `SchemaRefused`, saying what is wrong and where.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise SchemaRefused(f"The schema is not TOML: {exc}") from exc
    try:
        document = msgspec.convert(raw, _Document)
    except msgspec.ValidationError as exc:
        raise SchemaRefused(f"The schema is wrong: {exc}") from exc
    schema = Schema(document.game, {name: _parse_key(name, said) for name, said in document.keys.items()})
    if schema.version < 1:
        raise SchemaRefused("The schema is wrong: game.version starts at 1")
    if not schema.keys:
        raise SchemaRefused("The schema is wrong: it declares no keys")
    for name, spec in schema.keys.items():
        problem = _name_problem(name) or _spec_problem(spec)
        if problem:
            raise SchemaRefused(f"The schema is wrong: keys.{name}: {problem}")
    _check_graph_names(schema)
    return schema


def format_schema(schema: Schema) -> bytes:
    """The schema as JSON, to be kept beside the state that was written under it."""
    return msgspec.json.encode(schema)


def load_schema(data: bytes) -> Schema:
    """Read what `format_schema` wrote."""
    return msgspec.json.decode(data, type=Schema)


def check_successor(old: Schema, new: Schema) -> None:
    """Raise `SchemaRefused` unless state written under `old` can go on under `new`.

    A key may be added, and limits may change; a key may not go, nor change its type or what a bounded counter starts
    from.
    """
    if new.version < old.version:
        raise SchemaRefused(f"The state was written under schema version {old.version}, this is version {new.version}")
    for name, spec in old.keys.items():
        successor = new.keys.get(name)
        if successor is None:
            raise SchemaRefused(f"keys.{name} may have state and cannot be taken out of the schema")
        if successor.type != spec.type:
            raise SchemaRefused(
                f"keys.{name} is stored as {spec.type} and cannot become {successor.type}; declare a new key instead"
            )
        if spec.edge and not successor.edge:
            raise SchemaRefused(f"keys.{name}: its edges would stay in the graph for good; `edge` cannot be taken away")
        fixed = ("minimum", "start", "home")
        if spec.type == "bounded_counter":
            for field in fixed:
                if getattr(spec, field) != getattr(successor, field):
                    raise SchemaRefused(f"keys.{name}: `{field}` cannot change once there is state")
    if new.version == old.version and _meaning(new) != _meaning(old):
        raise SchemaRefused(f"The schema was changed but still says version {new.version}; raise game.version")


def _meaning(schema: Schema) -> Mapping[str, Any]:
    return {name: msgspec.to_builtins(spec) for name, spec in schema.keys.items()}


def _parse_key(name: str, said: Any) -> KeySpec:
    """One key's table. Each is converted by itself, as msgspec would not say in which of them something is wrong."""
    try:
        return msgspec.convert(said, KeySpec)
    except msgspec.ValidationError as exc:
        found = _WHERE.fullmatch(str(exc))
        words, where = (found[1], found[2]) if found else (str(exc), "")
        hint = f"; the types are {', '.join(_TYPE_NAMES)}" if where == ".type" else ""
        raise SchemaRefused(f"The schema is wrong: {words} - at `$.keys.{name}{where}`{hint}") from exc


def _name_problem(name: str) -> str | None:
    if not name or len(name) > 64:
        return "a key's name has 1 to 64 characters"
    if any(c in "#{}" or not c.isprintable() for c in name):
        return "a key's name holds no #, brace or control character"
    return None


def _check_graph_names(schema: Schema) -> None:
    """Labels of edges and kinds of vertices share one space of names, in which case does not count."""
    edges = schema.edge_keys().values()
    names = [*sorted({edge.to for edge in edges} | {"Player", "Synced"}), *sorted({edge.label for edge in edges})]
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name or names.count(name) > 1:
            raise SchemaRefused(f"The schema is wrong: the graph cannot tell {name!r} from {other!r}")


def _spec_problem(spec: KeySpec) -> str | None:
    if spec.type != "bounded_counter" and (spec.minimum or spec.initial is not None or spec.home):
        return "only a bounded_counter has minimum, initial or home"
    if spec.home and (any(c in "#:,{}" for c in spec.home) or not spec.home.isprintable()):
        return "a region's name holds no #, colon, comma, brace or control character"
    if not all(-(10**DIGITS_MAX) < n < 10**DIGITS_MAX for n in (spec.minimum, spec.start)):
        return f"minimum and initial have at most {DIGITS_MAX} digits"
    if spec.start < spec.minimum:
        return f"initial {spec.start} is below minimum {spec.minimum}"
    if spec.start > spec.minimum and not spec.home:
        return "a counter that starts above its minimum needs a home region, which starts with the difference"
    if spec.max_entries < 1 or spec.max_length < 1:
        return "max_entries and max_length start at 1"
    if spec.range and spec.type not in _NUMBER_TYPES:
        return f"a {spec.type} has no range"
    if spec.range and not all(map(math.isfinite, spec.range)):
        return "the range's ends are finite numbers"
    if spec.range and spec.range[0] > spec.range[1]:
        return "the range is empty"
    if spec.values is not None and spec.type not in _VALUE_TYPES:
        return f"a {spec.type} has no list of values"
    if msgspec.json.decode(msgspec.json.encode(spec.values)) != spec.values:
        return "the values are plain JSON: texts, finite numbers, booleans, lists and tables of them"
    if spec.edge is None:
        return None
    if spec.type not in _EDGE_TYPES:
        return f"only {' and '.join(sorted(_EDGE_TYPES))} keys make edges"
    for name in (spec.edge.label, spec.edge.to):
        if not _GRAPH_NAME.fullmatch(name):
            return f"{name!r} is no graph label: a letter, then letters, digits and _"
    return None
