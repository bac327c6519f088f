"""The world: which of all that may happen happens next, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import permutations
from random import Random

from playerstate.backends.memory.clock import ManualClock
from playerstate.core.images import Images
from playerstate.core.model import Key, Outcome, Update
from playerstate.core.producers import recall
from playerstate.core.schema import parse_schema
from playerstate.core.version_vector import join
from playerstate.core.wire import decode_record, row_readers
from playerstate.errors import NotNow, OutcomeUnknown
from playerstate.simulation.death import Death
from playerstate.simulation.faults import Crashed, Fate, Late
from playerstate.simulation.history import Committed, Final, History, Read
from playerstate.simulation.region import SimRegion
from playerstate.simulation.traffic import PLAYERS, GameServer
from playerstate.stages.replicate import Replicate

SCHEMA = parse_schema(
    """
    [game]
    name = "simulation"
    version = 1
    [keys.gold]
    type = "bounded_counter"
    initial = 20
    home = "r1"
    [keys.bag]
    type = "inventory"
    [keys.score]
    type = "counter"
    [keys.name]
    type = "register"
    [keys.friends]
    type = "set"
    edge = { label = "FRIEND" }
    """
)
KEYS = [Key(player, name) for player in PLAYERS for name in SCHEMA.keys]
READERS = row_readers(SCHEMA)
SERVERS = 4
STRIKES_SHARE = 0.01
ERASING_SHARE = 0.25
"""Of the worlds, how many have erasures: the others keep what erasing takes from the checkers."""
SKEW_MS_MAX = 120_000
NOW_MS = 1_800_000_000_000
SETTLE_ROUNDS_MAX = 30


class World:
    """Regions, game servers, and the network between the regions' stores."""

    def __init__(self, seed: int, *, regions: int = 3) -> None:
        self._random = random = Random(seed)  # noqa: S311 - it has to be reproducible
        self._fate = Fate(random, STRIKES_SHARE)
        self._late: Late = []
        names = [f"r{number}" for number in range(1, regions + 1)]
        self.regions = {
            name: SimRegion(name, SCHEMA, KEYS, ManualClock(NOW_MS), random, self._fate, self._late) for name in names
        }
        self.history = History(SCHEMA)
        self._servers = [GameServer(f"server-{n}", random.choice(names), random) for n in range(SERVERS)]
        self._cut: set[frozenset[str]] = set()
        self._carried = dict.fromkeys(permutations(names, 2), 0)
        self._death = Death(seed, SCHEMA, KEYS, self.regions, self.history)
        self._erases = random.random() < ERASING_SHARE and not self._death.planned  # a checker knows of one at a time
        acts = self._acts() | self._death.acts(lambda: self._fate.moment, self._carry)
        self._names, self._weights = list(acts), list(acts.values())

    def step(self) -> None:
        """Let one thing happen."""
        self._fate.moment += 1
        self._death.strike(self._fate.moment, self._late, self._servers)
        for region in self.regions.values():
            region.clock.advance(self._random.randint(0, 40))
        (act,) = self._random.choices(self._names, self._weights)
        region = self._any_region()
        try:
            act(region)
        except (Crashed, NotNow, OutcomeUnknown):  # anything else is a bug, and ends the run
            region.boot()

    def settle(self) -> History:
        """Heal everything, let all come to rest, and look at what is there; the run's history."""
        self._fate.armed = False
        self._cut.clear()
        self._read_all()
        self._arrive(len(self._late))
        self._read_all()
        for region in self.regions.values():
            region.boot()
        self._rest()
        self._death.settle(self._carry)
        self._rest()
        self._death.spend_all(self._rest)
        self._read_all()
        self._look()
        return self.history

    def _acts(self) -> dict[Callable[[SimRegion], object], int]:
        """What may happen, and how often beside the rest."""
        return {
            self._send: 260,
            lambda region: region.consumers["apply"].step(): 150,
            lambda region: region.consumers["project"].step(): 150,
            lambda region: region.consumers["link"].step(): 30,
            lambda region: region.consumers["audit"].step(): 40,
            self._carry_some: 170,
            lambda region: region.consumers["resolve"].step(): 60,
            self._read_some: 90,
            lambda region: region.boot(): 10,
            lambda _: self._arrive(1): 20,
            lambda region: region.lose_cache(self._random.choice([None, *PLAYERS])): 8,
            lambda region: region.clock.advance(self._random.randint(-SKEW_MS_MAX, SKEW_MS_MAX)): 6,
            self._repeat_elsewhere: 30,
            lambda _: self._servers_move(): 20,
            self._cut_or_heal: 10,
            self._erase: 5 if self._erases else 0,
        }

    def _any_region(self) -> SimRegion:
        return self._random.choice(list(self.regions.values()))

    def _send(self, region: SimRegion) -> None:
        here = [server for server in self._servers if server.region == region.name]
        if here:
            sent = self._random.choice(here).send(region)
            if sent is not None:
                self.history.sent.append(sent)

    def _erase(self, region: SimRegion) -> None:
        region.accept.erase(self._random.choice(PLAYERS), "asked for")

    def _repeat_elsewhere(self, region: SimRegion) -> None:
        """A sender that fails over repeats what the region has heard of: as far as promise 2 goes between regions."""
        if not self.history.sent:
            return
        at, update = self._random.choice(self.history.sent)
        key = update.first_key
        body = region.store.load([key])[key].get(at)
        if body is None or at == region.name:
            return
        memory = READERS[key.state_key].decode(body).memory
        if isinstance(recall(memory, update.producer, update.sequence, update.sent_at), Outcome):
            region.accept.handle([update])

    def _servers_move(self) -> None:
        self._random.choice(self._servers).move(list(self.regions))

    def _cut_or_heal(self, region: SimRegion) -> None:
        """What lies between a region and another, in both directions."""
        other = self._any_region()
        if other is not region:
            self._cut ^= {frozenset((region.name, other.name))}

    def _carry_some(self, source: SimRegion) -> None:
        """Some of the next changes to one other region; now and then from far before, for links may start anew."""
        target = self._any_region()
        if target is not source and frozenset((source.name, target.name)) not in self._cut:
            if self._random.random() < 0.05:
                self._carried[source.name, target.name] = 0
            self._carry(source, target, self._random.randint(1, 12))

    def _carry(self, source: SimRegion, target: SimRegion, limit: int) -> int:
        link = source.name, target.name
        changes = source.store.changes.read(self._carried[link], limit)
        if not changes:
            return 0
        Replicate(source.name, target.store).handle(changes)
        self._carried[link] = changes[-1].position
        self._death.carried(changes)
        return len(changes)

    def _arrive(self, calls: int) -> None:
        """What was on its way when its process died takes effect now."""
        for _ in range(min(calls, len(self._late))):
            call = self._late.pop(self._random.randrange(len(self._late)))
            call.arrive()
            for region in self.regions.values():
                if call.part is region.cache:
                    (views,) = call.arguments
                    lost = [view.key for view in views if max(region.lost[view.key], default=-1) >= call.moment]
                    self.history.stale_for_good += [(region.name, key) for key in lost]

    def _read_some(self, region: SimRegion) -> None:
        for key in self._random.sample(KEYS, 3):
            self._read(region, key)

    def _read_all(self) -> None:
        for region in self.regions.values():
            for key in KEYS:
                self._read(region, key)

    def _read(self, region: SimRegion, key: Key) -> None:
        generation = len(region.lost[key])
        view = region.cache.get(key)
        if view is not None:
            self.history.reads.append(Read(region.name, key, generation, view.version, view.decoded()))

    def _rest(self) -> None:
        rounds = 0
        while self._round() and rounds < SETTLE_ROUNDS_MAX:
            rounds += 1
        self.history.at_rest &= rounds < SETTLE_ROUNDS_MAX

    def _round(self) -> int:
        """Everybody does all there is to do; how much that was."""
        done = 0
        for region in self.regions.values():
            region.clock.advance(
                3_600_000
            )  # what was received and not deleted is visible again, wherever clocks jumped
            for consumer in region.consumers.values():
                while taken := consumer.step():
                    done += taken
        for source, target in permutations(self.regions.values(), 2):
            while carried := self._carry(source, target, 1000):
                done += carried
        return done

    def _look(self) -> None:
        self.history.unsure += [server.unsure for server in self._servers if server.unsure]
        for region in (self.regions | self._death.dead).values():
            self._look_at_changes(region)
        images = Images(SCHEMA)
        for name, region in self.regions.items():
            records = [decode_record(record.body) for record in region.stream.read(0, 10**9)]
            self.history.streamed[name] = [
                update for _, updates, _ in records for update in updates if isinstance(update, Update)
            ]
            finals = self.history.finals[name] = {}
            for key, rows in region.store.load(KEYS).items():
                view = images.view(key, [images.read(key.state_key, body) for body in rows.values()])
                cached = region.cache.get(key)
                edges = region.graph.edges(key)[1] if SCHEMA.keys[key.state_key].edge else None
                versions = {owner: images.read(key.state_key, body).version for owner, body in rows.items()}
                shown = cached.decoded() if cached else None
                finals[key] = Final(rows, view.decoded(), shown, edges, versions)
            self.history.recorded += [
                Committed(name, Key(told.player_id, told.state_key), cause, told.epoch)
                for player in PLAYERS
                for told in region.audit.history(player, limit=10**9)
                for cause in told.causes
            ]

    def _look_at_changes(self, region: SimRegion) -> None:
        """What the region has committed, and what its store had of each key just before."""
        visible: dict[Key, dict[str, dict[str, int]]] = {key: {} for key in KEYS}
        for change in region.store.changes.read(0, 10**9):
            vectors, row = visible[change.key], READERS[change.key.state_key].decode(change.new)
            if change.region == region.name:
                knew: dict[str, int] = reduce(join, vectors.values(), {})
                self.history.committed += [
                    Committed(region.name, change.key, cause, row.epoch, knew) for cause in row.because
                ]
                self._death.known(change)
            vectors[change.region] = row.vector
