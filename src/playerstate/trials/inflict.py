"""Inflicts the faults of a round on running regions, and puts everything right again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from playerstate.deployment import Deployment, Plan
from playerstate.regions import set_way
from playerstate.runtime.crew import Role
from playerstate.runtime.replication import LinkSettings
from playerstate.trials.clients import Client
from playerstate.trials.faults import Fault
from playerstate.trials.processes import RegionProcess


class Inflictor:
    """Faults for the regions of a deployment."""

    def __init__(
        self, deployment: Deployment, processes: Mapping[str, RegionProcess], clients: Sequence[Client]
    ) -> None:
        self._deployment = deployment
        self._processes = processes
        self._clients = clients

    def run(self, faults: Sequence[Fault]) -> None:
        """Begin and end each fault when its time has come."""
        events: list[tuple[float, Callable[[Fault], None], Fault]] = []
        for fault in faults:
            events += [(fault.at_s, self._begin, fault), (fault.at_s + fault.for_s, self._end, fault)]
        began = time.monotonic()
        for at_s, act, fault in sorted(events, key=lambda event: event[0]):
            time.sleep(max(0.0, began + at_s - time.monotonic()))
            act(fault)

    def heal(self) -> None:
        """End whatever lasts. Raises `Unavailable` if a node does not come back."""
        for process in self._processes.values():
            process.wake_zombies()
            process.limit_files(None)
            process.start()
        for client in self._clients:
            client.hangs_up = False
        self._deployment.change(_healed)
        for process in self._processes.values():
            process.connect().close()

    def _begin(self, fault: Fault) -> None:
        process = self._processes[fault.region]
        role = fault.role or Role.APPLY
        match fault.kind:
            case "node":
                process.kill(workers="workers" in fault.companions, cache="cache" in fault.companions)
            case "worker":
                process.kill_worker(role)
            case "cache":
                process.kill_cache()
            case "disk":
                process.limit_files(fault.amount)
            case "partition":
                self._deployment.change(
                    lambda plan: msgspec.structs.replace(plan, every_way=LinkSettings(fault.amount, fault.amount))
                )
                for other in fault.others:
                    set_way(self._deployment, fault.region, other, cut=True)
            case "clock":
                self._deployment.change(lambda plan: _skewed(plan, fault.region, fault.amount))
            case "zombie":
                process.replace_with_zombie(role)
            case "hang_up":
                self._hang_up(fault.region, so=True)

    def _end(self, fault: Fault) -> None:
        process = self._processes[fault.region]
        match fault.kind:
            case "node":
                process.start()
            case "disk":
                process.limit_files(None)
            case "partition":
                for other in fault.others:
                    set_way(self._deployment, fault.region, other, cut=False)
            case "clock":
                self._deployment.change(lambda plan: _skewed(plan, fault.region, 0))
            case "zombie":
                process.wake_zombies()
            case "hang_up":
                self._hang_up(fault.region, so=False)
            case _:  # what the node starts again by itself
                pass

    def _hang_up(self, region: str, *, so: bool) -> None:
        for client in self._clients:
            client.hangs_up = so if client.region == region else client.hangs_up


def _skewed(plan: Plan, region: str, skew_ms: int) -> Plan:
    return plan.with_region(region, msgspec.structs.replace(plan.regions[region], clock_skew_ms=skew_ms))


def _healed(plan: Plan) -> Plan:
    plan = msgspec.structs.replace(plan, every_way=LinkSettings(), ways={})
    for region in plan.living():
        plan = _skewed(plan, region, 0)
    return plan
