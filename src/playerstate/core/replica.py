"""A key as one region is about to change it: the join of all rows, and the steps taken since it was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from playerstate.core import producers
from playerstate.core.model import Cause, Key, Outcome, Side
from playerstate.core.row import Row, join_rows
from playerstate.core.schema import KeySpec
from playerstate.core.types import DATA_TYPES
from playerstate.core.version_vector import format_vector
from playerstate.core.wire import ROW_VERSION, encode_row

BECAUSE_MAX = 64
"""The most updates that one write of a row processes; it bounds what a row keeps of them."""

CAUSE_BYTES_MAX = 1024
"""A bound on what one update adds to a row beside its own size: cause, memory, names of regions."""


class Write(NamedTuple):
    """A row to be written, on the condition that the region's row still has the vector `seen` (None: is absent)."""

    key: Key
    region: str
    seen: str | None
    version: str
    old: bytes | None
    new: bytes


class Snapshot(NamedTuple):
    """A replica's contents at one moment."""

    next_step: int
    state: Any
    memory: Mapping[str, producers.Part]
    because: tuple[Cause, ...]
    epoch: int


class Replica:
    """One region's working copy of one key.

    `rows` are all regions' rows of the key, `own` the stored bytes of this region's; `stored_bytes` is the size of all.
    `next_step` is the number that the region's next step will have.
    """

    __slots__ = (
        "_epoch",
        "_grown",
        "_own",
        "_own_version",
        "_schema_version",
        "because",
        "data_type",
        "key",
        "memory",
        "next_step",
        "region",
        "spec",
        "state",
        "vector",
    )

    def __init__(
        self,
        key: Key,
        spec: KeySpec,
        schema_version: int,
        region: str,
        rows: Mapping[str, Row[Any]],
        own: bytes | None,
        *,
        stored_bytes: int = 0,
    ) -> None:
        joined = join_rows(rows.values(), DATA_TYPES[spec.type])
        self.key = key
        self.spec = spec
        self.data_type = DATA_TYPES[spec.type]
        self.region = region
        self.vector = dict(joined.vector)
        self.next_step = self.vector.get(region, 0) + 1
        self.state = joined.state
        self.memory = dict(joined.memory)
        self.because: list[Cause] = []
        self._epoch = joined.epoch
        self._schema_version = schema_version
        self._own = own
        self._own_version = format_vector(rows[region].vector) if region in rows else None
        self._grown = stored_bytes

    @property
    def epoch(self) -> int:
        """How often the key was erased."""
        return self._epoch

    @property
    def version(self) -> str:
        """The text of the vector."""
        return format_vector(self.vector)

    @property
    def bytes(self) -> int:
        """The size of the row as it is stored."""
        return len(self._own or b"")

    @property
    def full(self) -> bool:
        """Whether the next write already processes as many updates as one write may."""
        return len(self.because) >= BECAUSE_MAX

    def take_step(self, state: Any, cause: Cause) -> None:
        """Move on to `state`, because of an update that was processed."""
        self.vector[self.region] = cause.n
        self.next_step = cause.n + 1
        self.state = state
        self.because.append(cause)

    def erase(self, memory: Mapping[str, producers.Part], cause: Cause) -> None:
        """Move on to the next epoch: the empty state, with what is left of the memory. The vector counts on."""
        self._epoch += 1
        self.memory = dict(memory)
        self.take_step(self.data_type.empty(), cause)

    @property
    def own_memory(self) -> producers.Part:
        """The region's own part of the memory."""
        return self.memory.get(self.region, producers.NOTHING)

    def remember(self, producer: str, sequence: int, sent_at: int, outcome: Outcome, *, now: int) -> None:
        """Note an update's outcome in the region's own part of the memory. Raises `producers.MemoryFull`."""
        part = producers.remember(self.own_memory, producer, sequence, sent_at, outcome, now=now)
        self.memory[self.region] = part

    def set_memory(self, part: producers.Part) -> None:
        """Replace the region's own part of the memory."""
        self.memory[self.region] = part

    def bytes_at_most(self, more: int, *, rewrites: bool) -> int:
        """A bound on the row's encoded size after an update that adds `more` bytes, or that may name all there is."""
        self._grown += more + CAUSE_BYTES_MAX + (self._grown if rewrites else 0)
        return self._grown

    @property
    def bytes_bound(self) -> int:
        """A bound on the row's encoded size as it is now."""
        return self._grown

    def measure(self, written_at: int) -> int:
        """The row's encoded size as it is now, which is the bound from here on."""
        self._grown = len(encode_row(self._row(written_at, self.because)))
        return self._grown

    def bytes_without_causes(self, written_at: int) -> int:
        """The row's encoded size, but for what its next write says of updates."""
        return len(encode_row(self._row(written_at, [])))

    def snapshot(self) -> Snapshot:
        """What `restore` needs."""
        return Snapshot(self.next_step, self.state, dict(self.memory), tuple(self.because), self._epoch)

    def restore(self, snapshot: Snapshot) -> None:
        """Be again as when the snapshot was taken; there must have been no write since."""
        self.next_step, self.state, self.memory = snapshot.next_step, snapshot.state, dict(snapshot.memory)
        self.because, self._epoch = list(snapshot.because), snapshot.epoch
        if self.next_step > 1:
            self.vector[self.region] = self.next_step - 1
        else:
            self.vector.pop(self.region, None)

    def write(self, written_at: int) -> Write | None:
        """The write that stores the steps taken since the last one, and begins the next; None if there are none."""
        return self.write_joined(written_at) if self.because else None

    def write_joined(self, written_at: int, sides: Sequence[Side] = ()) -> Write:
        """The write that stores what the row is now, also where it has but joined what other regions wrote."""
        new = encode_row(self._row(written_at, self.because, sides))
        write = Write(self.key, self.region, self._own_version, format_vector(self.vector), self._own, new)
        self._own, self._own_version, self.because = new, write.version, []
        self._grown = len(new)
        return write

    def _row(self, written_at: int, because: list[Cause], sides: Sequence[Side] = ()) -> Row[Any]:
        return Row(
            ROW_VERSION,
            self.spec.type,
            self._schema_version,
            written_at,
            self._epoch,
            self.vector,
            self.state,
            self.memory,
            because,
            list(sides),
        )
