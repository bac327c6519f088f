"""Continuous verification over a world whose time is moved by hand: what its tests stand on."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from msgspec import structs

from playerstate.core.answers import VerificationStats
from playerstate.runtime.consumers import Report
from playerstate.runtime.verifying import (
    VerifyConsumer,
)
from playerstate.settings import Settings, Verification
from stages.verifying import Watch, watch
from stages.world import World, records, update

STEP_MS = 50


class Driven:
    """A consumer over a world, whose time is moved by hand. `looked` lists the players of each look."""

    def __init__(self, world: World, **parts: Any) -> None:
        self.world = world
        self.settings = Settings(Verification(sweep_share=0.0, sample_every_s=1e9))
        self.now = 0
        self.watch: Watch = watch(world, **parts)
        self.looked: list[list[str]] = []
        look = self.watch.inquiry.look

        def noted(players: Sequence[str], now: int) -> Any:
            assert now == self.now
            self.looked.append(list(players))
            self.now += self.look_ms
            return look(players, now)

        self.look_ms = 0
        self.watch.inquiry.look = noted  # type: ignore[method-assign]
        self.consumer = VerifyConsumer(
            self.watch.parts,
            self.watch.inquiry,
            world.clock,
            lambda: self.settings,
            random=Random(1),
            now_ms=lambda: self.now,
            cpu_s=lambda: self.now / 1000,
        )
        self.consumer.step()
        self.looked.clear()

    def set(self, **verification: Any) -> None:
        self.settings = Settings(structs.replace(self.settings.verification, **verification))

    def pass_s(self, seconds: float) -> None:
        """Let time pass, in which the consumer is driven as a loop does."""
        for _ in range(int(seconds * 1000 / STEP_MS)):
            self.now += STEP_MS
            self.world.clock.advance(STEP_MS)
            while self.consumer.step():
                pass

    @property
    def stats(self) -> VerificationStats:
        report = Report()
        self.consumer.tell(report)
        return report.verification

    def send(self, *players: str, sequence: int = 1) -> None:
        """Gold for players, applied; nobody follows yet."""
        before = len(records(self.world))
        self.world.put_updates(
            *(update({"player_id": name, "op": "add", "n": 5}, sequence=sequence) for name in players)
        )
        self.world.apply.handle(records(self.world)[before:])

    def everybody(self) -> set[str]:
        return {player_id for players in self.looked for player_id in players}


def shares(stats: VerificationStats) -> list[tuple[int, int]]:
    return [(stats.right_within_s[age], stats.changes_judged[age]) for age in ("1", "5", "60", "300")]
