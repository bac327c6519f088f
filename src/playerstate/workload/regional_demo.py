"""`demo --regions`: the story, then a load over all regions with a partition in the middle, then the count.

What the regions came to is accounted for update by update (`reconcile`). The same traffic, at the same times, with the
same partitions and as much lag, goes through the model of last-writer-wins, and what that has lost is counted too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec

from playerstate.core.model import Json, Key
from playerstate.core.schema import Schema
from playerstate.node import Options
from playerstate.regions import Regions
from playerstate.runtime.collector import calm_collector
from playerstate.runtime.replication import LinkSettings
from playerstate.workload.last_writer_wins import LastWriterWins
from playerstate.workload.life import Life
from playerstate.workload.lost_updates import Losses, count_losses
from playerstate.workload.reconcile import Accounts, RegionRead, answers, read_region, reconcile
from playerstate.workload.recorder import Recorder
from playerstate.workload.roaming import Roaming
from playerstate.workload.scenes import Scene
from playerstate.workload.story import final_values, story
from playerstate.workload.tape import updates_on

REGION_NAMES = ("us-east-1", "eu-west-1", "ap-northeast-1", "sa-east-1", "af-south-1")
WAY = LinkSettings(lag_ms=100, jitter_ms=100)
"""About what lies between continents, with the time that a global table takes."""
TICK_S = 0.02
SETTLE_S = 60.0
SEE_EVERY_S = 0.25


class RegionalOptions(msgspec.Struct, frozen=True):
    """How many regions, and how much load: `rate_per_s` over all regions together."""

    regions: int = 3
    seconds: float = 10.0
    players: int = 200
    rate_per_s: int = 200
    seed: int = 1


class Load(msgspec.Struct):
    """The load: how many updates, and how long (s) after the last one all had taken effect everywhere."""

    sent: int
    seconds: float
    cut_off_s: float
    settled_s: float


class RegionalReport(msgspec.Struct):
    """What the demo came to. `ended` has for the story's keys what is there now, and what last-writer-wins has."""

    ok: bool
    interrupted: bool
    regions: list[str]
    scenes: list[Scene]
    load: Load
    ours: Accounts
    last_writer_wins: Losses
    ended: dict[str, tuple[Json, Json]]
    problems: list[str]
    start_s: float
    check_s: float


def run_regional_demo(
    folder: Path,
    options: RegionalOptions,
    *,
    tell: Callable[[Scene], None] = lambda _: None,
    see: Callable[[int], None] = lambda _: None,
    before_check: Callable[[dict[str, RegionRead]], None] = lambda _: None,
) -> RegionalReport:
    """Run in an empty folder. An interrupt during the load ends it early; what was sent is checked all the same.

    `tell` is called with each scene, `see` every `SEE_EVERY_S` with how much of the load was sent, `before_check` with
    what was read of the regions. Raises `StartRefused` if they cannot run.
    """
    began = time.monotonic()
    names = REGION_NAMES[: options.regions]
    # threads: at this load the nodes share one processor well, and worker processes take longer to start
    with Regions(folder, names, options=Options(workers="thread")) as regions:
        calm_collector()
        start_s = round(time.monotonic() - began, 3)
        recorder = Recorder(regions)
        scenes = []
        for scene in story(recorder):
            tell(scene)
            scenes.append(scene)
        ended = final_values(recorder)
        load, interrupted, problems = _load(recorder, options, see)
        began = time.monotonic()
        accounts = _account(recorder, regions.nodes[names[0]].schema, before_check)
        model = LastWriterWins(names, seed=options.seed)
        model.play(recorder.tape)
        losses = count_losses(model, names[0])
        problems += [*recorder.rejections[:10], *(wrong for scene in scenes for wrong in scene.wrong)]
    return RegionalReport(
        not (problems or accounts.lost or accounts.findings or accounts.gold_gone or accounts.gold_spent_twice),
        interrupted,
        list(names),
        scenes,
        load,
        accounts,
        losses,
        {key: (value, model.value(names[0], _key(key))) for key, value in ended.items()},
        problems,
        start_s,
        round(time.monotonic() - began, 3),
    )


def _load(recorder: Recorder, options: RegionalOptions, see: Callable[[int], None]) -> tuple[Load, bool, list[str]]:
    """Send from a thread of its own, and look on; then wait until all has taken effect everywhere."""
    recorder.every_way(WAY)
    updates = Roaming(Life(options.seed, players=options.players), recorder.names, seed=options.seed)
    sender = _Sender(recorder, updates, options)
    thread = threading.Thread(target=sender.run, name="playerstate-demo", daemon=True)
    began = time.monotonic()
    thread.start()
    interrupted = False
    while thread.is_alive():
        try:
            thread.join(SEE_EVERY_S)
            see(sender.sent)
        except KeyboardInterrupt:
            interrupted = True
            sender.stop.set()
    seconds, began = time.monotonic() - began, time.monotonic()
    problems = [f"sending ended early: {sender.error}"] if sender.error else []
    if not recorder.regions.settle(timeout_s=SETTLE_S):
        problems.append(f"not everything had taken effect everywhere {SETTLE_S:.0f} s after the last update")
    settled_s = time.monotonic() - began
    return Load(sender.sent, round(seconds, 3), round(sender.cut_off_s, 3), round(settled_s, 3)), interrupted, problems


class _Sender:
    """Sends at a rate, and cuts the last region off in the second third of the time."""

    def __init__(self, recorder: Recorder, updates: Roaming, options: RegionalOptions) -> None:
        self.stop = threading.Event()
        self.sent = 0
        self.cut_off_s = 0.0
        self.error: Exception | None = None
        self._recorder = recorder
        self._updates = updates
        self._options = options

    def run(self) -> None:
        """Until the time is over, or until told to stop."""
        try:
            self._send_until(1 / 3)
            self._recorder.cut_off(self._recorder.names[-1])
            began = time.monotonic()
            try:
                self._send_until(2 / 3)
            finally:
                self._recorder.heal(self._recorder.names[-1])
                self.cut_off_s = time.monotonic() - began
            self._send_until(1)
        except Exception as exc:  # noqa: BLE001 - whoever started the thread has to hear of it
            self.error = exc

    def _send_until(self, share: float) -> None:
        until = round(self._options.seconds * self._options.rate_per_s * share)
        began, before = time.monotonic(), self.sent
        while self.sent < until and not self.stop.is_set():
            due = before + round((time.monotonic() - began + TICK_S) * self._options.rate_per_s)
            batch = list(islice(self._updates, max(0, min(due, until) - self.sent)))
            for name in self._recorder.names:
                own = [placed.update for placed in batch if placed.region == name]
                if own:
                    self._recorder.send(name, own)
            self.sent += len(batch)
            self.stop.wait(TICK_S)


def _account(recorder: Recorder, schema: Schema, before_check: Callable[[dict[str, RegionRead]], None]) -> Accounts:
    sent = updates_on(recorder.tape)
    keys = {op.key for one in sent for op in one.update.ops}
    read = {name: read_region(node, keys) for name, node in recorder.regions.nodes.items()}
    before_check(read)
    return reconcile(read, schema, sent, answers(recorder.regions.nodes, sent))


def _key(text: str) -> Key:
    player_id, _, state_key = text.rpartition("/")
    return Key(player_id, state_key)
