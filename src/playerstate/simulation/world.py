"""The world: which of all that may happen happens next, drawn from a seed."""

from __future__ import annotations

from functools import partial, reduce
from random import Random

from playerstate.backends.memory.clock import ManualClock
from playerstate.core.images import Images
from playerstate.core.model import Key, Outcome, Update
from playerstate.core.producers import recall
from playerstate.core.schema import parse_schema
from playerstate.core.suspicions import SIGHTINGS_MIN
from playerstate.core.version_vector import join
from playerstate.core.wire import decode_record, row_readers
from playerstate.errors import NotNow, OutcomeUnknown
from playerstate.simulation.death import Act, Death
from playerstate.simulation.faults import Crashed, Fate, Late
from playerstate.simulation.history import Committed, Final, History, Read
from playerstate.simulation.network import Network
from playerstate.simulation.region import STALE_COPY_AFTER_MS, STEP_MS, SimRegion
from playerstate.simulation.traffic import PLAYERS, GameServer

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
    """Regions, game servers, and a network between the regions."""

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
        self._death = Death(seed, SCHEMA, KEYS, self.regions, self.history)
        self.network = Network(self.regions, random, carried=self._death.carried)
        for name, region in self.regions.items():
            region.copies = partial(self.network.copies_of, name)
        self._erases = random.random() < ERASING_SHARE and not self._death.planned  # a checker knows of one at a time
        self._seed = seed
        self._acts = self._all_acts() | self._death.acts(lambda: self._fate.moment, self.network.carry)
        self._names, self._weights = list(self._acts), [weight for _, weight in self._acts.values()]
        self.trace: list[str] = []

    def step(self, *, idle: bool = False) -> None:
        """Let one thing happen, or, if `idle`, only the time pass that it takes.

        What happens at a step hangs on the seed and on its number alone, and on what it finds: steps can be left out.
        """
        self._fate.moment += 1
        self._random.seed(f"{self._seed} {self._fate.moment}")
        self._death.strike(self._fate.moment, self._late, self._servers)
        for region in self.regions.values():
            region.clock.advance(self._random.randint(0, 40))
        (name,) = self._random.choices(self._names, self._weights)
        region = self._any_region()
        if idle:
            return
        act, _ = self._acts[name]
        try:
            came_of_it = act(region)
        except (Crashed, NotNow, OutcomeUnknown) as exc:  # anything else is a bug, and ends the run
            came_of_it = f"and ended with {type(exc).__name__}; the region starts anew"
            region.boot()
        if came_of_it:
            self.trace.append(f"{self._fate.moment:5} {region.name}: {name} {came_of_it}")

    def settle(self) -> History:
        """Heal everything, let all come to rest, and look at what is there; the run's history."""
        self._fate.armed = False
        self.network.heal()
        self._read_all()
        self._arrive(len(self._late))
        self._read_all()
        for region in self.regions.values():
            region.boot()
        self._rest()
        self._death.settle(self.network.carry)
        self._rest()
        self._death.spend_all(self._rest)
        self._verify_all()
        self._rest()
        self._read_all()
        self._look()
        return self.history

    def _all_acts(self) -> dict[str, tuple[Act, int]]:
        """What may happen, and how often beside the rest. An act tells what came of it, or nothing."""

        def stage(name: str) -> Act:
            return lambda region: region.consumers[name].step()

        return {
            "send": (self._send, 260),
            "apply": (stage("apply"), 150),
            "project": (stage("project"), 150),
            "link": (stage("link"), 30),
            "audit": (stage("audit"), 40),
            "carry": (self.network.carry_some, 170),
            "resolve": (stage("resolve"), 60),
            "read": (self._read_some, 90),
            "verify": (lambda region: region.verify(PLAYERS), 60),
            "restart": (SimRegion.boot, 10),
            "arrive late": (lambda _: self._arrive(1), 20),
            "lose the cache": (lambda region: region.lose_cache(self._random.choice([None, *PLAYERS])), 8),
            "set the clock": (self._set_clock, 6),
            "repeat elsewhere": (self._repeat_elsewhere, 30),
            "move a server": (lambda _: self._servers_move(), 40),
            "cut or heal": (self.network.cut_or_heal, 10),
            "erase": (self._erase, 5 if self._erases else 0),
        }

    def _set_clock(self, region: SimRegion) -> str:
        by_ms = self._random.randint(-SKEW_MS_MAX, SKEW_MS_MAX)
        region.clock.advance(by_ms)
        return f"by {by_ms:+,} ms"

    def _any_region(self) -> SimRegion:
        return self._random.choice(list(self.regions.values()))

    def _send(self, region: SimRegion) -> str | None:
        here = [server for server in self._servers if server.region == region.name]
        sent = self._random.choice(here).send(region) if here else None
        if sent is None:
            return None
        self.history.sent.append(sent)
        return _told(sent.update)

    def _erase(self, region: SimRegion) -> str:
        player = self._random.choice(PLAYERS)
        region.accept.erase(player, "asked for")
        return player

    def _repeat_elsewhere(self, region: SimRegion) -> str | None:
        """A sender that fails over repeats what the region has heard of: as far as promise 2 goes between regions."""
        if not self.history.sent:
            return None
        at, update = self._random.choice(self.history.sent)
        key = update.first_key
        body = region.store.load([key])[key].get(at)
        if body is None or at == region.name:
            return None
        memory = READERS[key.state_key].decode(body).memory
        if not isinstance(recall(memory, update.producer, update.sequence, update.sent_at), Outcome):
            return None
        region.accept.handle([update])
        return f"what {at} has processed: {_told(update)}"

    def _servers_move(self) -> None:
        self._random.choice(self._servers).move(list(self.regions))

    def _arrive(self, calls: int) -> str:
        """What was on its way when its process died takes effect now."""
        came = []
        for _ in range(min(calls, len(self._late))):
            call = self._late.pop(self._random.randrange(len(self._late)))
            call.arrive()
            came.append(f"the {call.name} of step {call.moment}")
            for region in self.regions.values():
                if call.part is region.cache:
                    (views,) = call.arguments
                    lost = [view.key for view in views if max(region.lost[view.key], default=-1) >= call.moment]
                    self.history.late += [(region.name, key) for key in lost]
        return ", ".join(came)

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

    def _verify_all(self) -> None:
        """Look at everything until what is wrong is found and put right, if anything is."""
        for _ in range(SIGHTINGS_MIN + 1):
            self._fate.moment += STALE_COPY_AFTER_MS // STEP_MS + 1
            for region in self.regions.values():
                region.verify(PLAYERS)

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
        return done + self.network.carry_all()

    def _look(self) -> None:
        self.history.unsure += [server.unsure for server in self._servers if server.unsure]
        for region in (self.regions | self._death.dead).values():
            self._look_at_changes(region)
        images = Images(SCHEMA)
        for name, region in self.regions.items():
            self.history.findings += region.findings.list(limit=10**6)
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
            audit = [told for player in PLAYERS for told in region.audit.history(player, limit=10**9)]
            self.history.audits[name] = audit
            self.history.recorded += [
                Committed(name, Key(told.player_id, told.state_key), cause, told.epoch)
                for told in audit
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


def _told(update: Update) -> str:
    ops = [f"{op.key} {op.op} {op.n or op.elements or op.value or ''}".replace("UNSET", "") for op in update.ops]
    return f"{update.producer}#{update.sequence}: {', '.join(ops)}"
