"""Connections to a cluster: every command goes to the primary that serves the slot of its key.

What a cluster answers while it changes is dealt with here. A slot that has moved: the map of slots is read anew, and
the command sent again. A slot on its way: the command is sent to where it goes. A node that is gone, is a replica by
now, or does not serve yet: the same again, a few times, with pauses. So every command that is sent through here must
be harmless to repeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.exceptions import MovedError

from playerstate.backends.valkey.cluster_walk import scan
from playerstate.backends.valkey.connections import (
    ANSWER_TIMEOUT_S,
    Argument,
    Connection,
    Connections,
    pack,
)
from playerstate.backends.valkey.credentials import Credentials
from playerstate.backends.valkey.orders import Attempt, Order, packed, paired, told
from playerstate.backends.valkey.pipeline import Pipeline
from playerstate.backends.valkey.scripts import Script
from playerstate.backends.valkey.slots import NOTHING_KNOWN, SLOTS, Address, SlotMap, parse_slots, slot_of
from playerstate.backends.valkey.translated import unavailable
from playerstate.backends.valkey.trial import Failure, Trial, not_served
from playerstate.errors import StartRefused

SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}

_CLUSTER_SLOTS: bytes = pack(("CLUSTER", "SLOTS"))


class Answer(NamedTuple):
    """What a node has answered to an attempt; an error where it failed. No node, where nobody serves the slot."""

    node: Address | None
    attempt: Attempt
    reply: Any


class ClusterConnections:
    """Connections to every primary of one cluster. Errors of the driver leave it as `Unavailable`."""

    takes_any_slots = False
    """Whether one script may take keys of any slots."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take a `redis+cluster://` or `rediss+cluster://` URL, which may name several nodes with commas between them.

        Any of them will do to ask for the others. Nothing is connected yet. `wait` passes the time between two tries.
        """
        self._seeds = [
            Connections(one, credentials=credentials, answer_timeout_s=answer_timeout_s) for one in urls_of_nodes(url)
        ]
        self._answer_timeout_s = answer_timeout_s
        self._wait = wait
        self._map = NOTHING_KNOWN
        self._nodes: dict[Address, Connections] = {}

    def close(self) -> None:
        """End the idle connections. Those in use end when they are idle no more, or with their owner."""
        for connections in (*self._seeds, *tuple(self._nodes.values())):
            connections.close()

    def call(self, command: str, name: str, *arguments: Argument) -> Any:
        """Send a command on a key and return the reply. Raises `Unavailable`, also if the reply is an error."""
        return self.perform([Order(slot_of(name), (command, name, *arguments))])[0]

    def call_each(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send commands, each on a key, and return their replies."""
        return self.perform([Order(slot_of(str(command[1])), command) for command in commands])

    def run(self, script: Script, count: int, *names_and_arguments: Argument) -> Any:
        """Run a script on `count` keys of one slot."""
        return self.run_each(script, [(count, *names_and_arguments)])[0]

    def run_each(self, script: Script, runs: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run a script several times, each on keys of one slot; all nodes at the same time."""
        return self.perform([Order(slot_of(str(run[1])), run, script) for run in runs])

    def draw(self, count: int, random: Random) -> list[bytes | None]:
        """Names of keys at random, drawn by primaries, each as likely as it has slots."""
        return self.perform([Order(random.randrange(SLOTS), ("RANDOMKEY",)) for _ in range(count)])

    def unlink(self, names: Sequence[bytes]) -> None:
        """Delete keys."""
        self.perform([Order(slot_of(name), ("UNLINK", name)) for name in names])

    def scan(self, cursor: str, count: int) -> tuple[list[bytes], str]:
        """Names of players' hashes, about `count`, and the cursor to go on with; "" begins and ends."""
        return scan(self, cursor, count)

    def subscribe(self, channel: str) -> Connection:
        """A connection of the caller's own that listens to a shard channel. Raises `Unavailable`."""
        slot, trial = slot_of(channel), self.trial()
        while True:
            seen = self.known()
            owner = seen.owners[slot]
            try:
                if owner is None:
                    raise not_served()
                return self.node(owner).listen(channel)
            except (redis.RedisError, OSError) as exc:
                self.recover(trial, seen, {slot: Failure(owner, exc)})

    def perform(self, orders: Sequence[Order]) -> list[Any]:
        """Have orders carried out, each once or more. Their replies.

        Raises `Unavailable` if one of them cannot be, when others may have been.
        """
        replies: list[Any] = [None] * len(orders)
        left = [Attempt(place, order) for place, order in enumerate(orders)]
        trial = self.trial()
        while left:
            seen = self.known()
            failures: dict[int, Failure] = {}
            answers, left = self._round(seen, left), []
            for node, attempt, reply in answers:
                if isinstance(reply, Exception):
                    failures[attempt.order.slot] = Failure(node, reply)
                    attempt.learn(reply, node)
                    left.append(attempt)
                else:
                    replies[attempt.place] = reply
            if left:
                self.recover(trial, seen, failures)
        return replies

    def _round(self, seen: SlotMap, attempts: Sequence[Attempt]) -> list[Answer]:
        """Send every attempt, to each node in one go; what came of each."""
        answers: list[Answer] = []
        of_nodes: dict[Address, list[Attempt]] = {}
        for attempt in attempts:
            node = attempt.ask or seen.owners[attempt.order.slot]
            if node is None:
                answers.append(Answer(None, attempt, not_served()))
            else:
                of_nodes.setdefault(node, []).append(attempt)
        pieces = {node: packed(some) for node, some in of_nodes.items()}
        for node, replies in self.exchange(pieces).items():
            answers += [Answer(node, attempt, reply) for attempt, reply in paired(of_nodes[node], replies)]
        return answers

    def exchange(self, pieces: Mapping[Address, Sequence[bytes]]) -> dict[Address, list[Any]]:
        """Send packed commands to nodes, all of which are at work at the same time; the replies, or errors, of each.

        Each node has its time, but not one after the other: when the first has used it up, the others have too.
        """
        deadline = monotonic() + self._answer_timeout_s
        pipelines = {node: Pipeline(self.node(node)) for node in pieces}
        try:
            for node, pipeline in pipelines.items():
                pipeline.write(pieces[node], deadline)
            return {node: pipeline.read(len(pieces[node]), deadline) for node, pipeline in pipelines.items()}
        finally:
            for pipeline in pipelines.values():
                pipeline.abandon()

    def known(self) -> SlotMap:
        """Which node serves which slot, as far as is known. Raises `Unavailable` if no node can be asked."""
        if self._map is NOTHING_KNOWN:
            try:
                self._refresh(NOTHING_KNOWN, (), ())
            except (redis.RedisError, OSError) as exc:
                raise unavailable(exc) from exc
        return self._map

    def trial(self) -> Trial:
        """The tries of a call that begins."""
        return Trial(self._wait)

    def recover(self, trial: Trial, seen: SlotMap, failures: Mapping[int, Failure]) -> None:
        """Learn from failures, by slot, and wait until the next try. Raises `Unavailable` if there is to be none."""

        def refresh(gone: Iterable[Address], hints: Iterable[Address]) -> None:
            self._refresh(seen, gone, hints)

        trial.again(tuple(failures.values()), refresh)
        moved = {slot: told(error, node) for slot, (node, error) in failures.items() if isinstance(error, MovedError)}
        if any(self._map.owners[slot] != address for slot, address in moved.items()):
            self._map = self._map.moved(moved)  # who was asked for the map had not heard of it

    def node(self, address: Address) -> Connections:
        """The connections to a node."""
        connections = self._nodes.get(address)
        if connections is None:
            connections = self._nodes.setdefault(address, self._seeds[0].elsewhere(address))
        return connections

    def _refresh(self, seen: SlotMap, gone: Iterable[Address], hints: Iterable[Address]) -> None:
        """Read the map of slots, unless another thread has since it was `seen`. Raises the driver's errors.

        Nodes that are `gone` are asked last, those that `hints` name first.
        """
        if self._map is not seen:
            return
        suspects = frozenset(gone)
        nodes = sorted(dict.fromkeys([*hints, *seen.nodes]), key=lambda address: address in suspects)
        error: Exception = not_served()
        for connections in [*map(self.node, nodes), *self._seeds]:
            try:
                found = parse_slots(connections.exchange(_CLUSTER_SLOTS), connections.address)
            except (redis.RedisError, OSError) as exc:
                error = exc
                continue
            self._map = found
            for address in self._nodes.keys() - set(found.nodes):
                gone_for_good = self._nodes.pop(address, None)
                if gone_for_good is not None:
                    gone_for_good.close()
            return
        raise error


def urls_of_nodes(url: str) -> list[str]:
    """The URL of each node that a cluster's URL names. Raises `StartRefused` if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise StartRefused("A cluster's URL is like redis+cluster://host:6379, an IPv6 address in brackets") from exc
    login, at, hosts = parts.netloc.rpartition("@")
    if parts.scheme not in SCHEMES or not all(hosts.split(",")) or parts.path.strip("/"):
        raise StartRefused(
            "A cluster's URL is like redis+cluster://host:6379,host:6380 or rediss+cluster://..., and has no database"
        )
    return [urlunsplit((SCHEMES[parts.scheme], f"{login}{at}{host}", "", parts.query, "")) for host in hosts.split(",")]
