"""A cluster of real servers on loopback, as tests need it: started whole, its slots moved, its nodes killed."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playerstate.backends.valkey.connections import Connections
from playerstate.backends.valkey.server import _binary
from playerstate.backends.valkey.slots import SLOTS, slot_of
from playerstate.errors import Unavailable
from waiting import wait_until

LAUNCHES_MAX = 5
NODE_TIMEOUT_MS = 30_000
"""After which the others take a silent node for dead: on a busy machine that may take long to be true."""


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launched(launch: Callable[[], subprocess.Popen[bytes]], answers: Callable[[], bool]) -> subprocess.Popen[bytes]:
    """A server that answers. One that ends at once is launched again: somebody was faster to take its port."""
    for _ in range(LAUNCHES_MAX):
        process = launch()
        wait_until(lambda process=process: process.poll() is not None or answers(), "a server did not start")
        if process.poll() is None:
            return process
    raise AssertionError("a server ends as soon as it is started")


class Node:
    """One server of a cluster. Called with a command it answers for itself, wherever the key belongs."""

    def __init__(self, folder: Path, node_timeout_ms: int) -> None:
        folder.mkdir()
        self._process = launched(lambda: self._launch(folder, node_timeout_ms), self.answers)
        self.id: str = self("CLUSTER", "MYID").decode()

    def _launch(self, folder: Path, node_timeout_ms: int) -> subprocess.Popen[bytes]:
        self.port, self.bus_port = free_port(), free_port()
        self._connections = Connections(f"redis://127.0.0.1:{self.port}")
        settings = {
            "port": self.port,
            "cluster-port": self.bus_port,
            "bind": "127.0.0.1",
            "dir": folder,
            "cluster-enabled": "yes",
            "cluster-node-timeout": node_timeout_ms,
            "repl-diskless-sync-delay": 0,
            "save": "",
        }
        command = [str(_binary()), *[word for name, value in settings.items() for word in (f"--{name}", str(value))]]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def __call__(self, *command: Any) -> Any:
        return self._connections.call(*command)

    def answers(self) -> bool:
        """Whether it answers at all."""
        try:
            return bool(self("PING"))
        except Unavailable:
            return False

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._process.kill()
        self._process.wait()
        self._connections.close()

    def sees(self, nodes: int) -> bool:
        """Whether it serves, and knows who else does, in a cluster of so many nodes."""
        info: str = self("CLUSTER", "INFO").decode()
        signs = ("cluster_state:ok", f"cluster_known_nodes:{nodes}", f"cluster_slots_assigned:{SLOTS}")
        return set(signs) <= set(info.split())

    def is_primary(self) -> bool:
        """Whether it takes writes."""
        return bool(self("ROLE")[0] == b"master")


class Cluster:
    """Primaries that share all slots between them, and replicas of the first of them."""

    def __init__(self, primaries: list[Node], replicas: list[Node]) -> None:
        self.primaries = primaries
        self.replicas = replicas

    @property
    def url(self) -> str:
        """Names all nodes, as any of them may be killed."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def nodes(self) -> list[Node]:
        return [*self.primaries, *self.replicas]

    def everywhere(self, *command: Any) -> None:
        """Send a command to all nodes that take writes."""
        for node in self.primaries:
            node(*command)

    def owner(self, name: str) -> Node:
        """The node that has the slot of a key or a channel."""
        slot = slot_of(name)
        for first, last, primary, *_ in self.primaries[0]("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.id == primary[2].decode())
        raise AssertionError(f"nobody has slot {slot}")

    def other(self, node: Node) -> Node:
        """Another primary."""
        return next(other for other in self.primaries if other is not node)

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        """Put a slot on its way: keys that the source does not have are the target's from now on."""
        target("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def carry(self, slot: int, source: Node, target: Node, count: int = 1000) -> None:
        """Take keys of a slot from one node to another."""
        names = source("CLUSTER", "GETKEYSINSLOT", slot, count)
        if names:
            source("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *names)

    def end_move(self, slot: int, source: Node, target: Node) -> None:
        """Take all that is left, and give the slot away."""
        while source("CLUSTER", "COUNTKEYSINSLOT", slot):
            self.carry(slot, source, target)
        for node in (target, source, *[node for node in self.primaries if node not in {source, target}]):
            node("CLUSTER", "SETSLOT", slot, "NODE", target.id)
        wait_until(self._agrees, "the nodes have not heard of each other's epochs")

    def _agrees(self) -> bool:
        """Whether all know the epochs of all. Else what one has said before might prevail over what came since."""
        told = [node("CLUSTER", "NODES").decode() for node in self.primaries]
        epochs = [{line.split()[0]: line.split()[6] for line in lines.splitlines()} for lines in told]
        return all(known == epochs[0] for known in epochs)

    def move(self, slot: int, source: Node, target: Node) -> None:
        """Move a slot with all that it has."""
        self.begin_move(slot, source, target)
        self.end_move(slot, source, target)


@contextmanager
def running_cluster(
    folder: Path, *, primaries: int = 3, replicas: int = 0, node_timeout_ms: int = NODE_TIMEOUT_MS
) -> Iterator[Cluster]:
    """A cluster that serves, until the end of the block."""
    with ExitStack() as stack:

        def start(name: str) -> Node:
            node = Node(folder / name, node_timeout_ms)
            stack.callback(node.kill)
            return node

        cluster = Cluster(
            [start(f"primary-{n}") for n in range(primaries)], [start(f"replica-{n}") for n in range(replicas)]
        )
        bounds = [SLOTS * n // primaries for n in range(primaries + 1)]
        for n, node in enumerate(cluster.primaries):
            node("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            node("CLUSTER", "ADDSLOTSRANGE", bounds[n], bounds[n + 1] - 1)
        first = cluster.primaries[0]
        for node in cluster.nodes[1:]:
            first("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        for node in cluster.nodes:
            wait_until(lambda node=node: node.sees(primaries + replicas), "the cluster did not come together")
        for node in cluster.replicas:
            node("CLUSTER", "REPLICATE", first.id)
        wait_until(
            lambda: all(b"connected" in node("ROLE")[3] for node in cluster.replicas), "a replica did not come along"
        )
        yield cluster
