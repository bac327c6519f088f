"""What carries rows between simulated regions: some now, some later, some again; and where nothing passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations
from random import Random
from typing import NamedTuple

from playerstate.backends.memory.store import MemoryStore
from playerstate.ports.replication import Copies
from playerstate.ports.store import Change
from playerstate.simulation.region import SimRegion
from playerstate.stages.replicate import Replicate


class SimCopies(NamedTuple):
    """`Copies` in another simulated region."""

    region: str
    owner: str
    store: MemoryStore
    carried_to: Callable[[], int]

    def passed(self) -> int:
        """How far the way has come."""
        return self.carried_to()

    def load(self, player_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """The copies of the owner's rows."""
        return [
            {key.state_key: rows[self.owner] for key, rows in stored.items() if self.owner in rows}
            for stored in map(self.store.load_player, player_ids)
        ]


class Network:
    """The ways between the regions that live. `carried` hears of all that another region was brought."""

    def __init__(
        self, regions: Mapping[str, SimRegion], random: Random, *, carried: Callable[[Sequence[Change]], None]
    ) -> None:
        self._regions = regions
        self._random = random
        self._tell = carried
        self._cut: set[frozenset[str]] = set()
        self._carried: defaultdict[tuple[str, str], int] = defaultdict(int)

    @property
    def parted(self) -> bool:
        """Whether any two regions cannot hear of each other."""
        return bool(self._cut)

    def copies_of(self, owner: str) -> list[Copies]:
        """What the regions that a region can reach hold of its rows."""

        def carried_to(holder: str) -> int:
            return self._carried[owner, holder]

        return [
            SimCopies(name, owner, region.store, partial(carried_to, name))
            for name, region in self._regions.items()
            if name != owner and frozenset((owner, name)) not in self._cut
        ]

    def heal(self) -> None:
        """Let everything pass everywhere."""
        self._cut.clear()

    def cut_or_heal(self, region: SimRegion) -> str | None:
        """What lies between a region and another, in both directions."""
        other = self._other()
        if other is region:
            return None
        way = frozenset((region.name, other.name))
        self._cut ^= {way}
        return f"the way to {other.name}, which is now {'cut' if way in self._cut else 'healed'}"

    def carry_some(self, source: SimRegion) -> str | None:
        """Some of the next changes to one other region; now and then from far before, for links may start anew."""
        target = self._other()
        if target is source or frozenset((source.name, target.name)) in self._cut:
            return None
        if self._random.random() < 0.05:
            self._carried[source.name, target.name] = 0
        carried = self.carry(source, target, self._random.randint(1, 12))
        return f"{carried} changes to {target.name}" if carried else None

    def carry(self, source: SimRegion, target: SimRegion, limit: int) -> int:
        """Bring up to so many of the next changes from one region to another; how many that were."""
        link = source.name, target.name
        changes = source.store.changes.read(self._carried[link], limit)
        if not changes:
            return 0
        Replicate(source.name, target.store).handle(changes)
        target.apply.forget_kept()
        self._carried[link] = changes[-1].position
        self._tell(changes)
        return len(changes)

    def carry_all(self) -> int:
        """Bring everything everywhere; how many changes that were."""
        done = 0
        for source, target in permutations(self._regions.values(), 2):
            while carried := self.carry(source, target, 1000):
                done += carried
        return done

    def _other(self) -> SimRegion:
        return self._random.choice(list(self._regions.values()))
