"""Several regions on one machine: a node for each, in a folder of its own, and the ways between them.

    <folder>/deployment.json      which regions there are, what the ways between them are like
    <folder>/us-east-1/           a node's data folder
    <folder>/eu-west-1/

Each node is complete in itself, with stream, store, cache and graph of its own, and takes other regions' rows in. It
runs on when the others are gone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from playerstate.deployment import Deployment, Plan
from playerstate.node import Node, Options
from playerstate.runtime.replication import LinkSettings, link_name

SETTLE_POLL_S = 0.02


class Regions:
    """The running nodes of a deployment, by region.

    Raises `StartRefused` if one of them cannot run; then none does.
    """

    def __init__(
        self,
        path: Path,
        regions: Sequence[str] = (),
        *,
        schema_text: str | None = None,
        options: Options | None = None,
    ) -> None:
        self.deployment = Deployment(path)
        before = self.deployment.plan().regions if self.deployment.exists() else {}
        if regions:
            self.deployment = Deployment.make(path, regions)
        self.nodes: dict[str, Node] = {}
        added = set(regions) - before.keys()
        with contextlib.ExitStack() as opened:
            try:
                for name in self.deployment.plan().living():
                    folder = self.deployment.folder_of(name)
                    self.nodes[name] = opened.enter_context(Node(folder, schema_text=schema_text, options=options))
            except BaseException:
                # what could not be started must not be waited for by the others
                self.deployment.change(lambda plan: plan.without_unborn(added))
                raise
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, region: str) -> Node:
        return self.nodes[region]

    @property
    def alive(self) -> bool:
        """Whether every stage of every node still runs."""
        return all(node.alive for node in self.nodes.values())

    def close(self) -> None:
        """Stop all of them."""
        self._opened.close()

    def every_way(self, settings: LinkSettings) -> None:
        """Make all ways between regions like this, and heal those that were different."""
        self.deployment.change(lambda plan: msgspec.structs.replace(plan, every_way=settings, ways={}))

    def cut(self, one: str, other: str) -> None:
        """Have nothing pass between two regions, in either direction."""
        set_way(self.deployment, one, other, cut=True)

    def heal(self, one: str, other: str) -> None:
        """Have what waits between two regions carried."""
        set_way(self.deployment, one, other, cut=False)

    def settle(self, *, timeout_s: float) -> bool:
        """Wait until all that was accepted has taken effect everywhere, conflicts are resolved and nothing moves.

        False if that takes longer. A way that is cut keeps it from coming to rest.
        """
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            before = self._heads()
            drained = all(node.service.drain(timeout_s=left_s) for node in self.nodes.values())
            if drained and self._carried(before) and self._heads() == before:
                return True
            time.sleep(SETTLE_POLL_S)
        return False

    def _heads(self) -> dict[str, int]:
        return {name: node.parts.changes.head() for name, node in self.nodes.items()}

    def _carried(self, heads: Mapping[str, int]) -> bool:
        return all(
            node.parts.checkpoints.load(link_name(source, target)) >= heads[source]
            for target, node in self.nodes.items()
            for source in heads
            if source != target
        )


def set_way(
    deployment: Deployment,
    one: str,
    other: str,
    *,
    cut: bool | None = None,
    lag_ms: int | None = None,
    jitter_ms: int | None = None,
) -> Plan:
    """Change what the ways between two regions are like, in both directions; what is None stays.

    Raises `Unavailable` if there is no such region.
    """
    for name in (one, other):
        deployment.folder_of(name)
    given = {"cut": cut, "lag_ms": lag_ms, "jitter_ms": jitter_ms}
    changes = {name: value for name, value in given.items() if value is not None}

    def changed(plan: Plan) -> Plan:
        for source, target in ((one, other), (other, one)):
            plan = plan.with_way(source, target, msgspec.structs.replace(plan.way(source, target), **changes))
        return plan

    return deployment.change(changed)
