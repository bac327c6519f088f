"""How large typical rows are."""

from __future__ import annotations

from playerstate.core.model import Key, Op, Update
from playerstate.node import Node

PLAYER = "b7e2a9c4-typical-player"
PRODUCERS = ("game-server-1.5f2c9a", "game-server-2.81be07")
DRAIN_S = 10.0


def typical_row_bytes(node: Node) -> dict[str, int]:
    """The stored bytes of three rows, with producer memory and causes, that two game servers have written in turns."""
    friends = [f"{number:08x}-player" for number in range(30)]
    steps = [
        [_op("gold", "add", n=1_000_000), _op("rank", "set", value=12), _op("friends", "add", elements=friends[:29])],
        [_op("gold", "subtract", n=250), _op("rank", "set", value=13), _op("friends", "add", elements=friends[29:])],
    ]
    for producer, ops in zip(PRODUCERS, steps, strict=True):
        node.service.send_many([Update([op], producer, 1) for op in ops])
        node.service.drain(timeout_s=DRAIN_S)  # or both would be one write
    keys = {"gold": "gold", "rank": "rank", "friends (30)": "friends"}
    stored = node.parts.store.load([Key(PLAYER, key) for key in keys.values()])
    return {name: sum(map(len, stored[Key(PLAYER, key)].values())) for name, key in keys.items()}


def _op(state_key: str, name: str, **arguments: object) -> Op:
    return Op(PLAYER, state_key, name, **arguments)  # type: ignore[arg-type]  # each operation has its own
