"""Sends to the regions of a deployment and turns the ways between them, and keeps a tape of both."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from playerstate.core.answers import Rejected
from playerstate.core.model import Key, Op, Update
from playerstate.core.version_vector import covers, parse_vector
from playerstate.regions import Regions, set_way
from playerstate.replay.compare import outcome_text
from playerstate.replay.patience import Patience
from playerstate.runtime.replication import LinkSettings
from playerstate.workload.compare import Seen
from playerstate.workload.snapshot import cached_views, stored_views
from playerstate.workload.tape import Sent, Tape, Turned

LIMIT_S = 30.0
POLL_S = 0.02


class Recorder:
    """Everything that happens to the regions has to go through one of these, and from one thread at a time."""

    def __init__(self, regions: Regions) -> None:
        self.regions = regions
        self.names = list(regions.nodes)
        self.tape: Tape = []
        self.rejections: list[str] = []
        self._began = time.monotonic()
        self._sequences: Counter[tuple[str, Key]] = Counter()

    def send(self, region: str, updates: Sequence[Update]) -> list[Sent]:
        """Send updates that have identities to a region, as of now; those that it accepted.

        Raises `Unavailable`, `SlowDown` or `OutcomeUnknown` if it does not answer for long.
        """
        sent_at = time.time_ns() // 1_000_000
        dated = [msgspec.structs.replace(update, sent_at=sent_at) for update in updates]
        at_s = self._now_s()
        answers = Patience(time.sleep)(self.regions[region].service.send_many, dated)
        sent = []
        for update, answer in zip(dated, answers, strict=True):
            if isinstance(answer, Rejected):
                self.rejections.append(answer.message)
            else:
                sent.append(Sent(at_s, region, update))
        self.tape += sent
        return sent

    def do(self, wanted: Mapping[str, Sequence[Op]]) -> dict[str, str]:
        """Have an update take effect in each of several regions at once, and be seen there; what became of each."""
        sent = [one for region, ops in wanted.items() for one in self.send(region, [self._numbered(region, ops)])]
        outcomes = {}
        for one in sent:
            service = self.regions[one.region].service
            outcomes[one.region] = outcome_text(service.outcome(one.identity, wait_s=LIMIT_S))
        for one in sent:
            self._see(one.region, {op.player_id for op in one.update.ops})
        return outcomes

    def every_way(self, way: LinkSettings) -> None:
        """Make all ways like this."""
        self.regions.every_way(way)
        at_s = self._now_s()
        self.tape += [Turned(at_s, one, two, way) for one in self.names for two in self.names if one != two]

    def cut_off(self, region: str) -> None:
        """Cut one region from all others."""
        self._turn(region, cut=True)

    def heal(self, region: str) -> None:
        """Reach it again."""
        self._turn(region, cut=False)

    def agreed(self, players: Sequence[str], *, timeout_s: float = LIMIT_S) -> float | None:
        """Wait until all regions' caches show the same of some players; how long (s) that took, None if too long."""
        began = time.monotonic()
        while time.monotonic() < began + timeout_s:
            shown = [cached_views(self.regions[name].parts.cache, players) for name in self.names]
            if all(one == shown[0] for one in shown):
                return time.monotonic() - began
            time.sleep(POLL_S)
        return None

    def shown(self, region: str, key: Key) -> Seen:
        """What readers in a region see of a key."""
        view = self.regions[region].service.get(*key)
        return Seen(view.version, view.decoded())

    def _turn(self, region: str, *, cut: bool) -> None:
        for other in self.names:
            if other != region:
                plan = set_way(self.regions.deployment, region, other, cut=cut)
                at_s = self._now_s()
                self.tape += [
                    Turned(at_s, one, two, plan.way(one, two)) for one, two in ((region, other), (other, region))
                ]

    def _numbered(self, region: str, ops: Sequence[Op]) -> Update:
        producer = f"shop-{region}"
        self._sequences[producer, ops[0].key] += 1
        return Update(list(ops), producer, self._sequences[producer, ops[0].key])

    def _see(self, region: str, players: set[str]) -> None:
        """Wait until the cache has what the store has now: it follows within milliseconds."""
        node = self.regions[region]
        stored = stored_views(node.parts.store, node.schema, players)
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            cached = cached_views(node.parts.cache, players)
            if all(key in cached and _reaches(cached[key], seen) for key, seen in stored.items()):
                return
            time.sleep(POLL_S)

    def _now_s(self) -> float:
        return time.monotonic() - self._began


def _reaches(one: Seen, other: Seen) -> bool:
    return covers(parse_vector(one.version), parse_vector(other.version))
