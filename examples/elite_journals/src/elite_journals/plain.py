"""The oracle: the same operations on plain dicts, sets and numbers, one after the other.

It shares the mapping with the replay through the node, and nothing else: no regions, no versions, no data
types of the core. What the two have to agree on is what becomes of each update, every final value, and which
snapshots were expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from playerstate.core.model import Op

EMPTY: dict[str, Any] = {"bounded_counter": 0, "inventory": {}, "set": [], "map": {}, "flag": False}
"""What readers see of a key that nobody wrote, by its type; null for the types that are not here."""


class Insufficient(Exception):
    """There is less than the operation takes away."""


class PlainState:
    """The state of all players. `types` says the type of each key."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = types
        self.players: dict[str, dict[str, Any]] = {}
        self.intervals: dict[str, list[bool]] = {}
        """Key -> for every snapshot of it but a player's first, whether the value was already what it says.
        """
        self._met: set[tuple[str, str]] = set()

    def apply(self, ops: Sequence[Op]) -> bool:
        """Apply all of the operations, or none and return False."""
        player = self._player(ops[0].player_id)
        after: dict[str, Any] = {}
        try:
            for op in ops:
                key = op.state_key
                after[key] = apply_one(self._types[key], after.get(key, player[key]), op)
        except Insufficient:
            return False
        for op in ops:
            if op.op in ("set", "replace") and self._types[op.state_key] in ("bounded_counter", "inventory"):
                self._snapshot(op.player_id, op.state_key, player[op.state_key] == after[op.state_key])
        player.update(after)
        return True

    def _player(self, player_id: str) -> dict[str, Any]:
        if player_id not in self.players:
            self.players[player_id] = {key: EMPTY.get(kind) for key, kind in self._types.items()}
        return self.players[player_id]

    def _snapshot(self, player_id: str, key: str, exact: bool) -> None:
        if (player_id, key) in self._met:
            self.intervals.setdefault(key, []).append(exact)
        self._met.add((player_id, key))


def apply_one(kind: str, value: Any, op: Op) -> Any:
    """The value after one operation; the one before is not changed. Raises `Insufficient`."""
    match kind, op.op:
        case "bounded_counter", "set":
            return op.n
        case "bounded_counter", _:
            return _counted(value, op)
        case "inventory", "replace":
            return {item: n for item, n in (op.items or {}).items() if n}
        case "inventory", "set":
            return {item: n for item, n in {**value, op.item: op.n}.items() if n}
        case "inventory", _:
            counted = _counted(value.get(op.item, 0), op)
            return {item: n for item, n in {**value, op.item: counted}.items() if n}
        case "set", _:
            there, named = set(value), set(op.elements or ())
            return sorted(there | named if op.op == "add" else there - named)
        case "map", "set":
            return {**value, op.field: op.value}
        case "map", _:
            return {field: kept for field, kept in value.items() if field != op.field}
        case "flag", _:
            return op.op == "enable"
        case "max_register", _:
            return op.value if value is None else max(value, op.value)
        case "register", _:
            return op.value
    raise ValueError(f"the plain replay does not know {op.op} of a {kind}")


def _counted(value: int, op: Op) -> int:
    n = int(op.n) if isinstance(op.n, (int, str)) else 0
    after = value + n if op.op == "add" else value - n
    if after < 0:
        raise Insufficient
    return after
