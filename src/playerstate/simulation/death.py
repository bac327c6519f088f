"""A region that dies for good in some runs, is retired by another one after that, and what becomes of what it had.

What it had committed and not sent out by then is lost with it, or comes late, after its heir has taken over its rights.
In the end all that is left is spent, so that rights that nobody can use any more are seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeAlias

from playerstate.core.images import Images
from playerstate.core.model import Key, Op, Update
from playerstate.core.retirement import RETIRER
from playerstate.core.row import Row
from playerstate.core.schema import Schema
from playerstate.core.wire import decode_record, row_readers
from playerstate.errors import InvalidUpdate
from playerstate.ports.store import Change
from playerstate.simulation.faults import Late
from playerstate.simulation.history import Gone, History, Sent
from playerstate.simulation.region import SimRegion
from playerstate.simulation.traffic import GameServer

Carry: TypeAlias = Callable[[SimRegion, SimRegion, int], object]
Act: TypeAlias = Callable[[SimRegion], object]

REGIONS_MIN = 3
SHARE = 0.2
"""Of the runs, how many have a death."""
AT_STEP_MAX = 600
RETIRED_AFTER_STEPS_MAX = 200
TRIES_MAX = 8


class Death:
    """One death: of whom, when, who retires it how much later, whether what it had not sent comes late or never.

    `regions` are those that live, by name: the world's own, from which the dead one is taken.
    """

    def __init__(self, seed: int, schema: Schema, keys: Sequence[Key], regions: dict[str, SimRegion], history: History):
        random = Random(f"death {seed}")  # noqa: S311 - it has to be reproducible; runs without a death draw nothing
        self.planned = len(regions) >= REGIONS_MIN and random.random() < SHARE
        region, heir = random.sample(list(regions), 2) if self.planned else ("", "")
        self._gone = Gone(region, heir)
        self._at = random.randint(1, AT_STEP_MAX)
        self._retired_at = self._at + random.randint(0, RETIRED_AFTER_STEPS_MAX)
        self._comes_late = random.random() < 0.5
        self._random = random
        self._schema = schema
        self._readers = row_readers(schema)
        self._keys = keys
        self._living = regions
        self._history = history
        self._retired = False
        self.dead: dict[str, SimRegion] = {}
        """The dead region by its name, once it is dead."""

    def strike(self, moment: int, late: Late, servers: Sequence[GameServer]) -> None:
        """When the time has come, the region's processes stop for good, and its servers go elsewhere."""
        name = self._gone.region
        if not self.planned or self.dead or moment < self._at:
            return
        region = self.dead[name] = self._living.pop(name)
        for record in region.stream.read(region.checkpoints.load("apply"), 10**9):
            for update in decode_record(record.body)[1]:
                if not isinstance(update, InvalidUpdate):
                    self._gone.waiting.add((update.producer, update.sequence, update.first_key))
        self._history.gone.append(self._gone)
        late[:] = [call for call in late if call.part not in (region.store, region.cache)]
        for server in servers:
            if server.region == name and (unsure := server.leave(list(self._living))):
                self._history.unsure.append(unsure)

    def carried(self, changes: Sequence[Change]) -> None:
        """Note which rows of the region that dies have reached another one."""
        for change in changes:
            if change.region == self._gone.region:
                steps = self._row(change).vector.get(change.region, 0)
                self._gone.reached[change.key] = max(steps, self._gone.reached.get(change.key, 0))

    def acts(self, moment: Callable[[], int], carry: Carry) -> dict[Act, int]:
        """What may happen besides in a run in which a region dies, and how often beside the rest."""
        if not self.planned:
            return {}
        return {
            lambda region: self._retire(region) if self.dead and moment() >= self._retired_at else None: 40,
            lambda region: self._carry_late(region, carry, self._random.randint(1, 12)): 20,
        }

    def settle(self, carry: Carry) -> None:
        """Have all hear of the death, the heir take over, and what comes late come."""
        for region in self._living.values() if self.dead else ():
            self._carry_late(region, carry, 10**9)
            region.retired[self._gone.region] = self._gone.heir
        self._retired = bool(self.dead)

    def spend_all(self, rest: Callable[[], None]) -> None:
        """Take away all there is, each anywhere; what is refused again, when everything has come to rest again.

        More than twice, for what others had asked for before and did not get is on its way to them too.
        """
        places = {key: self._random.choice(list(self._living.values())) for key in self._keys} if self.dead else {}
        for sequence in range(1, TRIES_MAX + 1):
            left = [(key, item, n) for key in places for item, n in self._left(key).items()]
            if not left:
                break
            self._history.spent_last.clear()
            for key, item, n in left:
                region = places[key]
                arguments = {"n": n, "item": item} if item else {"n": n}
                op = Op(key.player_id, key.state_key, "subtract", **arguments)
                update = Update([op], f"last-{item}", sequence, region.clock.now_ms())
                region.accept.handle([update])
                self._history.sent.append(Sent(region.name, update))
                self._history.spent_last.append((update.producer, sequence, key))
            rest()

    def known(self, change: Change) -> None:
        """Note what the heir knew of the region when it first took over from it."""
        row = self._row(change)
        if change.region == self._gone.heir and any(cause.producer == RETIRER for cause in row.because):
            self._gone.known.setdefault(change.key, row.vector.get(self._gone.region, 0))

    def _retire(self, region: SimRegion) -> None:
        """The heir hears of the death, and after it the others."""
        self._retired |= region.name == self._gone.heir
        if self._retired:
            region.retired[self._gone.region] = self._gone.heir

    def _carry_late(self, target: SimRegion, carry: Carry, limit: int) -> None:
        if self._retired and self._comes_late:
            carry(self.dead[self._gone.region], target, limit)

    def _left(self, key: Key) -> dict[str, int]:
        """How much there is to be spent, by item."""
        images = Images(self._schema)
        stored = next(iter(self._living.values())).store.load([key])[key].values()
        value: Any = images.view(key, [images.read(key.state_key, body) for body in stored]).decoded()
        types = {"bounded_counter": {"": value}, "inventory": value}
        return {item: n for item, n in types.get(self._schema.keys[key.state_key].type, {}).items() if n > 0}

    def _row(self, change: Change) -> Row[Any]:
        return self._readers[change.key.state_key].decode(change.new)
