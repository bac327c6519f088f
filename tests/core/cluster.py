"""Three regions' stores of a small game, with updates judged in one region and rows that replicate when told to."""

from __future__ import annotations

from typing import Any

from core.worlds import REGIONS, Tape
from playerstate.core.erasure import erase, erasure
from playerstate.core.images import Images
from playerstate.core.judgement import judge
from playerstate.core.model import Json, Key, Op, Outcome, Status, Update
from playerstate.core.producers import ERASER_PREFIX
from playerstate.core.replica import Replica, Write
from playerstate.core.row import Row
from playerstate.core.schema import parse_schema

NOW_MS = 1_700_000_000_000

SCHEMA = parse_schema("""
    [game]
    name = "test"
    version = 1

    [keys.score]
    type = "counter"

    [keys.gold]
    type = "bounded_counter"

    [keys.name]
    type = "register"

    [keys.titles]
    type = "multi_register"
    max_entries = 3

    [keys.best]
    type = "max_register"

    [keys.lap]
    type = "min_register"

    [keys.online]
    type = "flag"

    [keys.friends]
    type = "set"
    max_entries = 4

    [keys.settings]
    type = "map"

    [keys.bag]
    type = "inventory"
""")


def op(key: str, name: str, player: str = "anna", **arguments: Any) -> Op:
    """An operation."""
    return Op(player, key, name, **arguments)


def update(*ops: Op, sequence: int = 1, producer: str = "game-1", sent_at: int = NOW_MS, **rest: Any) -> Update:
    """An update."""
    return Update(list(ops), producer, sequence, sent_at, **rest)


def any_op(tape: Tape) -> Op:
    """An operation on any of the keys, of few names and numbers, so that they meet."""
    n, name = tape.number(9), tape.pick("pqr")
    return tape.pick(
        [
            op("score", "add", n=n),
            op("gold", "add", n=n),
            op("gold", "subtract", n=n),
            op("gold", "set", n=n),
            op("name", "set", value=name),
            op("titles", "set", value=name),
            op("best", "set", value=n),
            op("lap", "set", value=n),
            op("online", "enable"),
            op("online", "disable"),
            op("friends", "add", elements=[name]),
            op("friends", "remove", elements=[name]),
            op("settings", "set", field=name, value=n),
            op("settings", "remove", field=name),
            op("bag", "add", item=name, n=n),
            op("bag", "subtract", item=name, n=n),
            op("bag", "replace", items={name: n}),
        ]
    )


class Cluster:
    """Every region's visible rows: `stores[region][key][owner]`."""

    def __init__(self) -> None:
        self.stores: dict[str, dict[Key, dict[str, bytes]]] = {region: {} for region in REGIONS}
        self.writes: list[Write] = []
        self._images = Images(SCHEMA)

    def send(self, region: str, update: Update, *, accepted_at: int = NOW_MS) -> Outcome:
        """Judge an update in a region, and store what comes of it."""
        replicas = {key: self.replica(region, key) for key in {op.key for op in update.ops}}
        outcome = judge(update, accepted_at, [replicas[op.key] for op in update.ops])
        writes = [write for replica in replicas.values() if (write := replica.write(accepted_at))]
        assert bool(writes) == (not outcome.duplicate and outcome.status is not Status.EXPIRED)
        for write in writes:
            self.stores[region].setdefault(write.key, {})[region] = write.new
        self.writes += writes
        return outcome

    def erase(self, region: str, state_key: str, *, sequence: int = 1, eraser: str = "", at: int = NOW_MS) -> Outcome:
        """Erase anna's key in a region; again with the same sequence is a repeat."""
        key = Key("anna", state_key)
        erasing = erasure(key, "asked for", eraser=eraser or f"{ERASER_PREFIX}{region}", sequence=sequence, now=at)
        replica = self.replica(region, key)
        outcome = erase(erasing, at, replica)
        assert outcome is not None
        if write := replica.write(at):
            self.stores[region].setdefault(key, {})[region] = write.new
            self.writes.append(write)
        return outcome

    def deliver(self, region: str, write: Write) -> None:
        """A row of another region arrives, unless a later one of it did before."""
        if write.region == region:
            return
        visible = self.stores[region].setdefault(write.key, {})
        old = visible.get(write.region)
        n = self._row(write.key, write.new).vector[write.region]
        if old is None or self._row(write.key, old).vector[write.region] < n:
            visible[write.region] = write.new

    def settle(self) -> None:
        """Everything that was written arrives everywhere."""
        for region in REGIONS:
            for write in self.writes:
                self.deliver(region, write)

    def replica(self, region: str, key: Key) -> Replica:
        """The region's working copy of a key."""
        stored = self.stores[region].get(key, {})
        rows = {owner: self._row(key, body) for owner, body in stored.items()}
        return Replica(key, SCHEMA.keys[key.state_key], SCHEMA.version, region, rows, stored.get(region))

    def row(self, region: str, state_key: str, player: str = "anna") -> Row[Any]:
        """The region's own row of a key."""
        key = Key(player, state_key)
        return self._row(key, self.stores[region][key][region])

    def value(self, region: str, state_key: str, player: str = "anna") -> Json:
        """What the region's readers see."""
        return self.view(region, Key(player, state_key))[1]

    def view(self, region: str, key: Key) -> tuple[str, Json]:
        """The version and value that the region's readers see."""
        stored = self.stores[region].get(key, {}).values()
        view = self._images.view(key, [self._images.read(key.state_key, body) for body in stored])
        return view.version, view.decoded()

    def _row(self, key: Key, body: bytes) -> Row[Any]:
        return self._images.read(key.state_key, body).row
