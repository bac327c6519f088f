"""What goes wrong in a round of trials: drawn from a seed, so that the same round can be had again."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal, TypeAlias, get_args

import msgspec

from playerstate.runtime.crew import Role

Kind: TypeAlias = Literal["node", "worker", "cache", "disk", "partition", "clock", "zombie", "hang_up"]
Companion: TypeAlias = Literal["workers", "cache"]

KINDS: tuple[Kind, ...] = get_args(Kind)
FAULTS_MAX = 3
BEGIN_S_MAX = 1.5
LAST_S_MIN, LAST_S_MAX = 0.6, 2.5
AGAIN_SHARE = 0.4
AGAIN_S_MAX = 1.5
"""How soon a node that was killed is killed again: often before it has come to itself."""
SKEW_MS_MAX = 120_000
LAG_MS_MAX = 300
DISK_BYTES = (0, 4_096, 65_536, 300_000)
"""How far files may grow on a disk that is full: from not at all, to where a write fails half-way."""
WORKER_ROLES = (Role.APPLY, Role.FOLLOW)


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault: of which kind, where, when in the round it begins and how long it lasts, in seconds.

    `others` are the regions that are cut off, `companions` what is killed with a node, `role` says which worker.
    `amount` is in milliseconds (of lag, of a clock's error) or bytes (a file on a full disk).
    """

    kind: Kind
    region: str
    at_s: float
    for_s: float
    others: list[str] = []
    companions: list[Companion] = []
    role: Role | None = None
    amount: int = 0

    def __str__(self) -> str:
        match self.kind:
            case "node":
                return " ".join([f"kill -9 of {self.region}", *(f"with {it}" for it in self.companions)])
            case "worker":
                return f"kill -9 of {self.region}'s {self.role}"
            case "cache":
                return f"kill -9 of {self.region}'s cache"
            case "disk":
                return f"{self.region}'s disk full at {self.amount} bytes for {self.for_s} s"
            case "partition":
                cut = ", ".join(self.others)
                return f"{self.region} cut off from {cut} for {self.for_s} s, elsewhere {self.amount} ms of lag"
            case "clock":
                return f"{self.region}'s clock {self.amount:+} ms for {self.for_s} s"
            case "zombie":
                return f"{self.region}'s {self.role} stopped for {self.for_s} s while another takes its place"
            case "hang_up":
                return f"clients of {self.region} hang up for {self.for_s} s"


def draw(random: Random, regions: Sequence[str]) -> list[Fault]:
    """The faults of a round, one to three; a node that is killed may be killed again as it starts.

    A cache does not die where a worker is stopped: a view that the worker had in hand could reach the empty cache after
    a newer one was lost with the old, and stay until the key changes again, as only verification can tell.
    """
    kinds = [kind for kind in KINDS if kind != "partition" or len(regions) > 1]
    faults: list[Fault] = []
    for kind in random.choices(kinds, k=random.randint(1, FAULTS_MAX)):
        fault = _draw_one(random, kind, random.choice(regions), regions)
        if not any(_clash(fault, other) or _clash(other, fault) for other in faults):
            faults.append(fault)
            if kind == "node" and random.random() < AGAIN_SHARE:
                again_s = fault.at_s + fault.for_s + random.uniform(0, AGAIN_S_MAX)
                faults.append(msgspec.structs.replace(fault, at_s=round(again_s, 2), for_s=LAST_S_MIN))
    return faults


def _draw_one(random: Random, kind: Kind, region: str, regions: Sequence[str]) -> Fault:
    fault = Fault(
        kind, region, round(random.uniform(0, BEGIN_S_MAX), 2), round(random.uniform(LAST_S_MIN, LAST_S_MAX), 2)
    )
    replace = msgspec.structs.replace
    match kind:
        case "node":
            companions: list[list[Companion]] = [[], ["workers"], ["cache"], ["workers", "cache"]]
            return replace(fault, companions=random.choice(companions))
        case "worker" | "zombie":
            return replace(fault, role=random.choice(WORKER_ROLES))
        case "disk":
            return replace(fault, amount=random.choice(DISK_BYTES))
        case "partition":
            neighbours = [name for name in regions if name != region]
            others = sorted(random.sample(neighbours, random.randint(1, len(neighbours))))
            return replace(fault, others=others, amount=random.randint(0, LAG_MS_MAX))
        case "clock":
            return replace(fault, amount=random.randint(-SKEW_MS_MAX, SKEW_MS_MAX))
        case _:
            return fault


def _clash(zombie: Fault, other: Fault) -> bool:
    deadly = other.kind == "cache" or "cache" in other.companions
    return zombie.kind == "zombie" and zombie.region == other.region and deadly
