"""The world: which of all that may happen happens next, drawn from a seed; and how all comes to rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random
from typing import TypeAlias

from aws.faults import Faults, Zombies
from aws.replicator import Replicator
from aws.runs.looking import look, read
from aws.runs.region import AwsRegion
from ministack import MiniStack
from playerstate.backends.aws.clients import Clients
from playerstate.backends.memory.clock import ManualClock
from playerstate.core.model import Outcome
from playerstate.core.producers import recall
from playerstate.errors import NotNow, OutcomeUnknown
from playerstate.simulation.history import History
from playerstate.simulation.traffic import GameServer
from playerstate.simulation.world import KEYS, READERS, SCHEMA

SERVERS = 4
FAULTS_SHARE = 0.08
LAG_MS_MAX = 2_000
TICK_MS_MAX = 40
SERVICES = ("dynamodb", "kinesis", "sns", "sqs", "cache", "graph", "audit")
OUTAGE_CALLS_MAX = 12
AN_HOUR_MS = 3_600_000
ROUNDS_MAX = 150

Act: TypeAlias = Callable[[AwsRegion], object]


class World:
    """Regions on the emulator, game servers, and the ways of a global table between the regions."""

    def __init__(
        self,
        seed: int,
        ministack: MiniStack,
        clients: Clients,
        cache_urls: Sequence[str],
        *,
        now_ms: int,
    ) -> None:
        self.random = random = Random(seed)
        self.faults = Faults(seed, FAULTS_SHARE)
        self.zombies = Zombies()
        self.clock = ManualClock(now_ms)
        self.history = History(SCHEMA)
        self.done: Counter[str] = Counter()
        self.stumbles: Counter[str] = Counter()
        """How often accept could not say that it has taken what it was sent."""
        names = [f"r{number}" for number, _ in enumerate(cache_urls, start=1)]
        parts = self.clock, random, self.faults, self.zombies
        self.regions = {
            name: AwsRegion(name, names, SCHEMA, KEYS, ministack, clients, url, *parts)
            for name, url in zip(names, cache_urls, strict=True)
        }
        tables = {name: region.table for name, region in self.regions.items()}
        self.ways = {
            (one, other): Replicator(clients, one, tables[one], tables[other], self.clock, random)
            for one, other in permutations(names, 2)
        }
        self._clients = clients
        self._servers = [GameServer(f"server-{n}", random.choice(names), random) for n in range(SERVERS)]
        self.acts = self._all_acts()

    def step(self) -> None:
        """Let one thing happen."""
        self.clock.advance(self.random.randint(0, TICK_MS_MAX))
        weights = [weight for _, weight in self.acts.values()]
        (name,) = self.random.choices(list(self.acts), weights)
        region = self.random.choice(list(self.regions.values()))
        if self.acts[name][0](region):
            self.done[name] += 1

    def settle(self) -> History:
        """Heal everything, let all come to rest, and look at what is there; the run's history."""
        self.faults.armed = False
        for way in self.ways.values():
            way.cut, way.lag_ms = False, 0
        while self.zombies.waiting:
            self.zombies.release()
            self._read_all()
        self._rest()
        self._read_all()
        self.history.unsure += [server.unsure for server in self._servers if server.unsure]
        look(self.history, self.regions, self._clients)
        return self.history

    def close(self) -> None:
        """End what was begun; nothing may wait for it any more."""
        while self.zombies.waiting:
            self.zombies.release()
        for region in self.regions.values():
            region.close()

    def _all_acts(self) -> dict[str, tuple[Act, int]]:
        """What may happen, and how often beside the rest. An act says whether anything came of it."""

        def stepping(name: str) -> Act:
            return lambda region: region.steps[name]()

        return {
            "send": (self._send, 300),
            "apply": (stepping("apply"), 170),
            "project": (stepping("project"), 150),
            "link": (stepping("link"), 25),
            "audit": (stepping("audit"), 35),
            "resolve": (stepping("resolve"), 40 if self.ways else 5),
            "read": (self._read, 60),
            "carry": (self._carry, 120 if self.ways else 0),
            "cut, heal or slow down": (self._trouble, 15 if self.ways else 0),
            "repeat elsewhere": (self._repeat_elsewhere, 20 if self.ways else 0),
            "move a server": (self._move, 20 if self.ways else 0),
            "a zombie writes": (self._release, 25),
            "lose the cache": (self._lose_cache, 5),
            "reshard": (self._reshard, 12),
            "poll from the checkpoint": (self._restart, 20),
            "messages reappear": (self._reappear, 25),
            "restart accept": (self._boot, 8),
            "outage": (self._outage, 25),
        }

    def _send(self, region: AwsRegion) -> bool:
        here = [server for server in self._servers if server.region == region.name]
        if not here:
            return False
        try:
            sent = self.random.choice(here).send(region)
        except (NotNow, OutcomeUnknown) as exc:  # the sender sends the same again
            self.stumbles[type(exc).__name__] += 1
            return True
        if sent is not None:
            self.history.sent.append(sent)
        return True

    def _read(self, region: AwsRegion) -> bool:
        for key in KEYS:
            read(self.history, region, key)
        return True

    def _read_all(self) -> None:
        for region in self.regions.values():
            self._read(region)

    def _way(self, region: AwsRegion) -> Replicator:
        return self.random.choice([way for (source, _), way in self.ways.items() if source == region.name])

    def _carry(self, region: AwsRegion) -> int:
        return self._way(region).carry(self.random.randint(1, 6))

    def _trouble(self, region: AwsRegion) -> bool:
        way = self._way(region)
        if self.random.random() < 0.5:
            way.cut = not way.cut
        else:
            way.lag_ms = self.random.randint(0, LAG_MS_MAX)
        return True

    def _repeat_elsewhere(self, region: AwsRegion) -> bool:
        """A sender that fails over repeats what the region has heard of: as far as promise 2 goes between regions."""
        if not self.history.sent:
            return False
        at, update = self.random.choice(self.history.sent)
        key = update.first_key
        body = region.store.load([key])[key].get(at)
        if body is None or at == region.name:
            return False
        memory = READERS[key.state_key].decode(body).memory
        if not isinstance(recall(memory, update.producer, update.sequence, update.sent_at), Outcome):
            return False
        try:
            region.accept.handle([update])
        except (NotNow, OutcomeUnknown) as exc:
            self.stumbles[type(exc).__name__] += 1
        return True

    def _move(self, _: AwsRegion) -> bool:
        self.random.choice(self._servers).move(list(self.regions))
        return True

    def _release(self, _: AwsRegion) -> bool:
        if not self.zombies.waiting:
            return False
        self.zombies.release(self.random.randrange(self.zombies.waiting))
        return True

    def _lose_cache(self, region: AwsRegion) -> bool:
        """Once nobody holds an old view: coming late to an empty cache it would stay until it is verified."""
        while self.zombies.waiting:
            self.zombies.release()
        region.lose_cache()
        return True

    def _boot(self, region: AwsRegion) -> bool:
        region.boot()
        return True

    def _reshard(self, region: AwsRegion) -> bool:
        shards = self.random.choice([region.apply, region.project]).shards
        shard_id = self.random.choice(list(shards.open))
        self.random.choice([shards.split, shards.merge, shards.roll])(shard_id)
        return True

    def _restart(self, region: AwsRegion) -> bool:
        self.random.choice([region.apply, region.project]).restart()
        return True

    def _outage(self, _: AwsRegion) -> bool:
        """A service answers nothing for some calls: longer than anybody tries, or not."""
        self.faults.outage(self.random.choice(SERVICES), self.random.randint(1, OUTAGE_CALLS_MAX))
        return True

    def _reappear(self, region: AwsRegion) -> bool:
        for poller in region.queues.values():
            poller.let_reappear()
        return True

    def _rest(self) -> None:
        for _ in range(ROUNDS_MAX):
            if not self._round() and all(region.idle for region in self.regions.values()):
                return
        self.history.at_rest = False

    def _round(self) -> int:
        """Everybody does what there is to do; how much that was."""
        done = 0
        self.clock.advance(AN_HOUR_MS // ROUNDS_MAX)
        for region in self.regions.values():
            self._reappear(region)
            for step in region.steps.values():
                while count := step():
                    done += count
        return done + sum(way.carry(1_000) for way in self.ways.values())
