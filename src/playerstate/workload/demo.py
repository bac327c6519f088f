"""The demo: a node on an empty folder, a life-like load, and the comparison of what was sent with what came of it."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from playerstate.core.answers import VerificationStats
from playerstate.node import Node
from playerstate.runtime.collector import calm_collector
from playerstate.runtime.freshness import quantile
from playerstate.service import Parts
from playerstate.workload.compare import Comparison, compare
from playerstate.workload.glimpse import Glimpse
from playerstate.workload.ledger import Ledger
from playerstate.workload.life import Life
from playerstate.workload.sender import Sender
from playerstate.workload.settling import drain, settled_stats
from playerstate.workload.snapshot import read_found

DRAIN_S = 60.0
SEE_EVERY_S = 0.25
SAMPLES = ("player-00001", "player-00002", "player-00005", "player-00020", "player-00100")
SAMPLE_KEYS = ("status", "gold", "experience", "rank", "guild")


class DemoOptions(msgspec.Struct, frozen=True):
    """How much is sent, and for how long."""

    seconds: float = 30.0
    players: int = 2000
    rate_per_s: int = 2550
    seed: int = 1


class DemoReport(msgspec.Struct):
    """What the demo came to. Freshness is an upper bound, from accepted to visible in the cache; `verification` is what
    the node has seen of itself meanwhile.
    """

    ok: bool
    interrupted: bool
    sent: int
    repeats: int
    retried: int
    outcomes: dict[str, int]
    dead_letters: int
    comparison: Comparison
    verification: VerificationStats
    freshness_ms_p50: float | None
    freshness_ms_p99: float | None
    drained: bool
    problems: list[str]
    start_s: float
    sending_s: float
    drain_s: float
    compare_s: float


class _Watch:
    """Times what follows one another."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self._at = self._at, time.monotonic()
        return round(self._at - before, 3)


def run_demo(
    folder: Path,
    options: DemoOptions,
    *,
    see: Callable[[Glimpse], None] = lambda _: None,
    before_compare: Callable[[Parts], None] = lambda _: None,
) -> DemoReport:
    """Run on an empty folder. An interrupt ends the sending early; what was sent is compared all the same.

    `see` is called every `SEE_EVERY_S`; `before_compare` with the node's parts when all has taken effect. Raises
    `StartRefused` if the node cannot run.
    """
    watch = _Watch()
    with Node(folder) as node:
        calm_collector()  # as `serve` does
        ledger = Ledger()
        life = Life(options.seed, players=options.players)
        sender = Sender(node.service, life, ledger, rate_per_s=options.rate_per_s, seed=options.seed)
        sender.warm_up()
        drain(node, timeout_s=DRAIN_S)
        start_s = watch.lap()
        interrupted = _send(node, sender, options.seconds, see)
        sending_s = watch.lap()
        drained = drain(node, timeout_s=DRAIN_S)
        drain_s = watch.lap()
        stats = settled_stats(node, outcomes_min=sender.sent + sender.repeats)
        before_compare(node.parts)
        expected = ledger.expected(repeats=sender.repeats, retried=sender.retried)
        comparison = compare(expected, read_found(node.parts, node.schema, expected, stats.outcomes))
        problems = [*sender.rejections[:10]]
        if sender.error is not None:
            problems.append(f"sending ended early: {sender.error}")
        problems += [f"verification found {n:,} {what}" for what, n in stats.verification.findings.items()]
        if not drained:
            problems.append(f"not everything had taken effect {drain_s:.0f} s after the last update")
            problems += [f"{name}: {stage.last_error}" for name, stage in stats.stages.items() if stage.last_error]
        return DemoReport(
            comparison.agrees and not problems and not stats.dead_letters,
            interrupted,
            sender.sent,
            sender.repeats,
            sender.retried,
            stats.outcomes,
            stats.dead_letters,
            comparison,
            stats.verification,
            quantile(stats.freshness_ms, 0.5),
            quantile(stats.freshness_ms, 0.99),
            drained,
            problems,
            start_s,
            sending_s,
            drain_s,
            watch.lap(),
        )


def _send(node: Node, sender: Sender, seconds: float, see: Callable[[Glimpse], None]) -> bool:
    """Send from a thread of its own, and look on; True if it was interrupted."""
    stop = threading.Event()
    thread = threading.Thread(target=sender.run, args=(seconds, stop), name="playerstate-demo", daemon=True)
    began = time.monotonic()
    thread.start()
    interrupted = False
    while thread.is_alive():
        try:
            see(_glimpse(node, sender, time.monotonic() - began))
            thread.join(SEE_EVERY_S)
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
    see(_glimpse(node, sender, time.monotonic() - began))
    return interrupted


def _glimpse(node: Node, sender: Sender, elapsed_s: float) -> Glimpse:
    samples = {}
    for player_id in SAMPLES:
        views = node.parts.cache.get_player(player_id).views
        samples[player_id] = {key: views[key].decoded() for key in SAMPLE_KEYS if key in views}
    return Glimpse(elapsed_s, sender.sent, sender.repeats, copy.deepcopy(node.stats()), samples)
