"""Commands to a cluster, and how they are sent again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import AskError, MovedError, NoScriptError

from playerstate.backends.valkey.connections import Argument, pack
from playerstate.backends.valkey.scripts import Script
from playerstate.backends.valkey.slots import Address

_ASKING: bytes = pack(("ASKING",))


class Order(NamedTuple):
    """A command to whoever serves a slot; with a script, what follows its name: the number of keys, keys, arguments."""

    slot: int
    command: Sequence[Argument]
    script: Script | None = None

    def packed(self, *, with_source: bool) -> bytes:
        """The bytes to send. A script goes by its name, unless `with_source`."""
        if self.script is None:
            return pack(tuple(self.command))
        head = ("EVAL", self.script.source) if with_source else ("EVALSHA", self.script.sha)
        return pack((*head, *self.command))


class Attempt:
    """An order that is not carried out yet."""

    __slots__ = ("ask", "order", "place", "unknown")

    def __init__(self, place: int, order: Order) -> None:
        self.place = place
        self.order = order
        self.ask: Address | None = None
        """The node to which the slot is on its way, if the key is there already, or would be."""
        self.unknown = 0
        """How often a node did not know the script."""

    def learn(self, error: Exception, node: Address | None) -> None:
        """Note what an error of `node` says of the next time."""
        if isinstance(error, NoScriptError):
            self.unknown += 1
        elif isinstance(error, AskError) and not isinstance(error, MovedError):
            self.ask = told(error, node)
        else:
            self.ask = None


def told(error: AskError, node: Address | None) -> Address:
    """Whither an ASK or MOVED of `node` leads. Without a host it is the same one, at another port."""
    host = error.host or (node.host if node else "")
    return Address(host, error.port)


def packed(attempts: Sequence[Attempt]) -> list[bytes]:
    """What to write to one node. The source of a script that it did not know goes along once, and it knows it then."""
    pieces: list[bytes] = []
    given: set[Script | None] = set()
    for attempt in attempts:
        if attempt.ask is not None:
            pieces.append(_ASKING)
        order = attempt.order
        with_source = attempt.unknown > 1 or (attempt.unknown == 1 and order.script not in given)
        if with_source:
            given.add(order.script)
        pieces.append(order.packed(with_source=with_source))
    return pieces


def paired(attempts: Sequence[Attempt], replies: Sequence[Any]) -> list[tuple[Attempt, Any]]:
    """Each attempt with its reply, out of the replies to what `packed` gave."""
    pairs: list[tuple[Attempt, Any]] = []
    following = iter(replies)
    for attempt in attempts:
        if attempt.ask is not None:
            next(following)  # to ASKING
        pairs.append((attempt, next(following)))
    return pairs
