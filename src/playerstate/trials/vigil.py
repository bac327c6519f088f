"""A vigil: a load at a steady rate, with or without planted disagreements, and what verification made of it.

Without any, nothing may be found, however far regions lag and while they are parted. With some, each has to be found,
called what it is, and put right.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis

from playerstate.core.findings import Finding, Kind
from playerstate.core.model import Key
from playerstate.node import Node
from playerstate.regions import Regions, set_way
from playerstate.runtime.collector import calm_collector
from playerstate.settings import FILE as SETTINGS_FILE
from playerstate.settings import Verification
from playerstate.trials.load import Load
from playerstate.trials.planting import Ground, Plant, key_of, plants, preparations
from playerstate.trials.vigil_report import FOUND_WITHIN_S, Planted, VigilOptions, VigilReport, report_of
from playerstate.workload.settling import drain

PREPARE_S = 120.0
FIND_S = 600.0
"""How long is waited for what has not been found when the load ends."""
LOOK_EVERY_S = 0.2
FINDINGS_MAX = 10_000
REGIONS = ("us-east-1", "eu-west-1")


def keep_vigil(folder: Path, options: VigilOptions, tell: Callable[[str], None] = lambda _: None) -> VigilReport:
    """Run one in an empty folder. Raises `StartRefused` if the nodes cannot run."""
    with _nodes(folder, options) as (regions, nodes):
        calm_collector()
        node = nodes[0]
        for one in nodes:
            folder_of = folder / one.region if options.regions else folder
            (folder_of / SETTINGS_FILE).write_text(options.settings, "utf-8")
        kinds = [plant for plant in plants(node.region, REGIONS[1]) if options.regions or not plant.regional]
        wanted = [(kind, f"planted-{n}-{at}") for n in range(options.planted_each) for at, kind in enumerate(kinds)]
        _prepare(node, [player_id for _, player_id in wanted], regions)
        planted: list[Planted] = []
        with Load(node, options.rate_per_s) as load, redis.Redis.from_url(node.cache_url) as cache:
            before, began = node.stats(), time.monotonic()
            ground = _ground(folder, node, cache, options)
            while (passed_s := time.monotonic() - began) < options.seconds and load.error is None:
                _part(regions, options, passed_s)
                while wanted and passed_s >= (len(planted) + 1) * options.seconds / (len(planted) + len(wanted) + 2):
                    planted.append(_plant(ground, *wanted.pop(0)))
                _match(planted, nodes)
                time.sleep(LOOK_EVERY_S)
            _await(planted, nodes, tell)
            took_s, after, sent = time.monotonic() - began, node.stats(), load.sent
            if load.error is not None:
                raise load.error
        tell("letting it come to rest")
        if regions is not None:
            regions.settle(timeout_s=PREPARE_S)
        unexpected = _match(planted, nodes)
        agrees = all(drain(one, timeout_s=PREPARE_S) and _agrees(one) for one in nodes)
        return report_of(took_s, sent, planted, unexpected, agrees, nodes, before, after)


@contextlib.contextmanager
def _nodes(folder: Path, options: VigilOptions) -> Iterator[tuple[Regions | None, list[Node]]]:
    if not options.regions:
        with Node(folder) as node:
            yield None, [node]
        return
    with Regions(folder, REGIONS) as regions:
        set_way(regions.deployment, *REGIONS, lag_ms=options.lag_ms)
        yield regions, [regions[name] for name in REGIONS]


def _prepare(node: Node, player_ids: list[str], regions: Regions | None) -> None:
    """Have the players be there, everywhere, and complete in the cache."""
    for player_id in player_ids:
        node.service.send_many(preparations(player_id, 1)[:1])
    drain(node, timeout_s=PREPARE_S)  # so that the amounts are of two versions
    for player_id in player_ids:
        node.service.send_many(preparations(player_id, 1)[1:])
    drain(node, timeout_s=PREPARE_S)
    if regions is not None:
        regions.settle(timeout_s=PREPARE_S)
    for player_id in player_ids:
        node.service.get_player(player_id)


def _ground(folder: Path, node: Node, cache: redis.Redis, options: VigilOptions) -> Ground:
    if not options.regions:
        return Ground(node, cache, folder, "", None)
    return Ground(node, cache, folder / REGIONS[0], REGIONS[1], folder / REGIONS[1])


def _part(regions: Regions | None, options: VigilOptions, passed_s: float) -> None:
    """Cut the way in the middle of the time, for as long as the options say."""
    if regions is None or not options.parted_s:
        return
    begins = options.seconds / 3
    cut = begins <= passed_s < begins + options.parted_s
    if regions.deployment.plan().way(*REGIONS).cut != cut:
        set_way(regions.deployment, *REGIONS, cut=cut)


def _plant(ground: Ground, plant: Plant, player_id: str) -> Planted:
    key = key_of(plant, player_id)
    plant.make(ground, player_id)
    is_stuck = plant.kind in (Kind.STALE, Kind.MISSING)
    limit_s = FOUND_WITHIN_S + (Verification().stale_after_s(plant.place) if is_stuck else 0)
    return Planted(plant.name, plant.place, plant.kind, str(key), time.time_ns() // 1_000_000, limit_s)


def _match(planted: list[Planted], nodes: list[Node]) -> list[Finding]:
    """File the findings with what was planted; those of which nothing was."""
    by_key = {one.key: one for one in planted}
    others = []
    for node in nodes:
        for finding in node.service.findings(limit=FINDINGS_MAX):
            one = by_key.get(str(Key(finding.player_id, finding.state_key)))
            if one is None or finding.found_at < one.planted_at:
                others.append(finding)
            elif one.found_after_s is None or (finding.place, finding.kind) == (one.place, one.kind):
                one.found_as = f"{finding.place}:{finding.kind}"
                one.found_after_s = (finding.found_at - one.planted_at) / 1000
                one.repair = finding.repair
                one.repaired_after_s = (finding.repaired_at - one.planted_at) / 1000 if finding.repaired_at else None
    return others


def _await(planted: list[Planted], nodes: list[Node], tell: Callable[[str], None]) -> None:
    """Wait, with a limit, until all that was planted is found; the load goes on."""
    deadline = time.monotonic() + FIND_S
    while (missing := [one for one in planted if not one.put_right]) and time.monotonic() < deadline:
        tell(f"{len(missing)} of {len(planted)} are not found and put right yet")
        for _ in range(25):
            time.sleep(LOOK_EVERY_S)
            _match(planted, nodes)


def _agrees(node: Node) -> bool:
    cursor = ""
    while True:
        page = node.service.verify(cursor, repair=False)
        cursor = page.cursor
        if page.findings:
            return False
        if not cursor:
            return True
