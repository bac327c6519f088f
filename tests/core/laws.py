"""The laws that every data type obeys, each stated once. A type adds a generator of operations and a specification.

A specification is a plain reading of what the type means: from the operations that are known, and who knew of which when,
it says what the value is and which operations are refused. It shares no code with the type.

A *schedule* is carried out in a world of three regions: they take steps, and receive rows that were written at any time
before, in any order, some twice and some never.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar, NamedTuple, TypeAlias

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from playerstate.core.model import Json, Op, Reason
from playerstate.core.numbers import pack, unpack_extension
from playerstate.core.row import Row, join_rows
from playerstate.core.schema import KeySpec
from playerstate.core.types import DATA_TYPES, At, DataType, Refused
from playerstate.core.version_vector import covers
from playerstate.core.wire import ROW_VERSION, RowReader, encode_row

REGIONS = ("a", "b", "c")
EXAMPLES: Counter[tuple[str, str]] = Counter()
"""(type, law) -> how many schedules it was tried on; printed at the end of the run."""

STEPS: Counter[str] = Counter()
"""Type -> how many steps those schedules took."""


class Step(NamedTuple):
    """The region applies operations, all or none. `seen` picks a row that the writer had read, None means all."""

    region: str
    ops: list[Op]
    time_us: int
    seen: int | None


class Deliver(NamedTuple):
    """The region joins a row that was written before."""

    region: str
    row: int


class Erase(NamedTuple):
    """The region erases the key."""

    region: str


Command: TypeAlias = Step | Deliver | Erase


@dataclass(frozen=True, eq=False)
class Event:
    """One operation of a step: the `index`-th of region's step `n`, taken by a region that knew what `before` counts."""

    region: str
    n: int
    index: int
    epoch: int
    op: Op
    time_us: int
    seen: dict[str, int] | None
    before: dict[str, int]

    def knew(self, other: Event) -> bool:
        """Whether the other one is in this one's causal history."""
        if (self.region, self.n) == (other.region, other.n):
            return other.index < self.index
        return self.before.get(other.region, 0) >= other.n

    def observed(self, other: Event) -> bool:
        """Whether the other one is in the history of what the writer had read."""
        read = self.seen is None or self.seen.get(other.region, 0) >= other.n
        return read and self.knew(other)


History: TypeAlias = Sequence[Event]
"""The operations that took effect, each after all that it knew."""


@dataclass
class World:
    """Three regions' rows of one key, every row that was ever written, and what took effect."""

    laws: Laws
    rows: dict[str, Row[Any]] = field(default_factory=dict)
    written: list[Row[Any]] = field(default_factory=list)
    log: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        empty = self.laws.row({}, self.laws.data_type.empty(), 0)
        self.rows = dict.fromkeys(REGIONS, empty)
        self.written = [empty]

    def run(self, schedule: Sequence[Command]) -> World:
        """Carry out a schedule."""
        for command in schedule:
            self.do(command)
        return self

    def do(self, command: Command) -> None:
        """Carry out one command."""
        region, row = command.region, self.rows[command.region]
        match command:
            case Step():
                row = self._step(command, row)
            case Deliver():
                row = self.laws.join([row, self.written[command.row % len(self.written)]])
            case Erase():
                vector = {**row.vector, region: row.vector.get(region, 0) + 1}
                row = self.laws.row(vector, self.laws.data_type.empty(), row.epoch + 1)
        self.rows[region] = row
        self.written.append(row)

    def history(self, row: Row[Any]) -> list[Event]:
        """What took effect and is contained in a row."""
        return [e for e in self.log if e.epoch == row.epoch and row.vector.get(e.region, 0) >= e.n]

    def settle(self) -> None:
        """Let every region hear of every other's latest row."""
        latest = list(self.rows.values())
        self.rows = {region: self.laws.join([row, *latest]) for region, row in self.rows.items()}

    def _step(self, step: Step, row: Row[Any]) -> Row[Any]:
        read = [old.vector for old in self.written if covers(row.vector, old.vector)]
        seen = None if step.seen is None else read[step.seen % len(read)]
        at = At(step.region, row.vector.get(step.region, 0) + 1, step.time_us, seen)
        history, new = self.history(row), list[Event]()
        state = row.state
        for index, op in enumerate(step.ops):
            event = Event(at.region, at.n, index, row.epoch, op, at.time_us, seen, row.vector)
            expected = self.laws.refusal([*history, *new], event)
            before = canonical(state)
            try:
                after = self.laws.apply(state, op, at)
            except Refused as refusal:
                assert refusal.reason is expected
                assert canonical(state) == before
                state, new = (refusal.note(row.state) if refusal.note else row.state), []
                break
            assert expected is None
            assert canonical(state) == before
            state, new = after, [*new, event]
        self.log += new
        STEPS[self.laws.type_name] += 1
        return self.laws.row({**row.vector, at.region: at.n}, state, row.epoch)


class Laws(ABC):
    """Inherit it as `Test...` with a specification, and every law is tested."""

    spec: ClassVar[KeySpec]
    operations: ClassVar[st.SearchStrategy[Op]]

    @abstractmethod
    def expected(self, history: History) -> Json:
        """The value after what took effect."""

    def refusal(self, history: History, event: Event) -> Reason | None:
        """Why an operation cannot follow the history."""
        return None

    def apply(self, state: Any, op: Op, at: At) -> Any:
        """The state after an operation."""
        return self.data_type.apply(state, op, at, self.spec)[0]

    @property
    def type_name(self) -> str:
        """The type's name."""
        return self.spec.type

    @property
    def data_type(self) -> DataType[Any]:
        """The type."""
        return DATA_TYPES[self.spec.type]

    def row(self, vector: dict[str, int], state: Any, epoch: int) -> Row[Any]:
        """A row of the type."""
        return Row(ROW_VERSION, self.spec.type, 1, 0, epoch, vector, state, {}, [])

    def join(self, rows: Sequence[Row[Any]]) -> Row[Any]:
        """The row that contains others; they are left alone."""
        before = canonical(rows)
        joined = join_rows(rows, self.data_type)
        assert canonical(rows) == before
        return self.row(joined.vector, joined.state, joined.epoch)

    def value(self, row: Row[Any]) -> Json:
        """What readers see of a row."""
        return self.data_type.value(row.state, self.spec)

    def schedules(self, *, erasures: bool = False) -> st.SearchStrategy[list[Command]]:
        """Schedules of some twenty commands."""
        region, pick = st.sampled_from(REGIONS), st.integers(0, 31)
        ops = st.lists(self.operations, min_size=1, max_size=2)
        steps = st.builds(Step, region, ops, st.integers(0, 9), st.none() | pick)
        kinds: list[st.SearchStrategy[Any]] = [steps, steps, st.builds(Deliver, region, pick)]
        if erasures:
            kinds.append(st.builds(Erase, region))
        command = st.one_of(kinds)
        return st.integers(1, 20).flatmap(lambda n: st.lists(command, min_size=n, max_size=n))

    def world(self, data: st.DataObject, law: str, *, erasures: bool = False) -> World:
        """A world after some schedule."""
        EXAMPLES[self.type_name, law] += 1
        return World(self).run(data.draw(self.schedules(erasures=erasures), label="schedule"))

    @given(st.data())
    def test_value_is_as_specified(self, data: st.DataObject) -> None:
        """After every command every region shows what the specification says, refusals included."""
        EXAMPLES[self.type_name, "as specified"] += 1
        world = World(self)
        for command in data.draw(self.schedules(), label="schedule"):
            world.do(command)
            row = world.rows[command.region]
            assert self.value(row) == self.expected(world.history(row))

    @given(st.data())
    def test_join_is_commutative_associative_idempotent(self, data: st.DataObject) -> None:
        """On rows that were written in one world, of which some precede, some are concurrent."""
        world = self.world(data, "join")
        rows = world.written[-3:] + data.draw(st.lists(st.sampled_from(world.written), min_size=3, max_size=3))
        for row in rows:
            assert canonical(self.join([row, row])) == canonical(row)
        for a, b, c in combinations(rows, 3):
            assert canonical(self.join([a, b])) == canonical(self.join([b, a]))
            left, right = self.join([self.join([a, b]), c]), self.join([a, self.join([b, c])])
            assert canonical(left) == canonical(right)

    @given(st.data())
    def test_a_row_contains_what_its_vector_counts(self, data: st.DataObject) -> None:
        """Joining what is contained already changes nothing, so `apply` only moves forward; equal vectors, equal rows."""
        world = self.world(data, "forward")
        rows = world.written[-8:]
        for a in rows:
            for b in rows:
                if covers(a.vector, b.vector):
                    assert canonical(self.join([a, b])) == canonical(a)
                if a.vector == b.vector:
                    assert canonical(a) == canonical(b)

    @given(st.data())
    def test_regions_converge_in_any_order(self, data: st.DataObject) -> None:
        """Rows that arrive in any order, some twice, some long after, come to one view of all that took effect."""
        world = self.world(data, "converges")
        latest = list(world.rows.values())
        more = data.draw(st.lists(st.sampled_from(world.written), max_size=4), label="others")
        one = self.join(data.draw(st.permutations(latest + more), label="order"))
        other = self.join(data.draw(st.permutations(latest + latest), label="another order"))
        assert canonical(one) == canonical(other)
        assert self.value(one) == self.value(other) == self.expected(world.history(one))
        world.settle()
        assert {msgspec.json.encode(self.value(row)) for row in world.rows.values()} == {
            msgspec.json.encode(self.value(one))
        }

    @given(st.data())
    def test_laws_hold_across_erasures(self, data: st.DataObject) -> None:
        """An erasure supersedes what came before it and what was concurrent, and everything else goes on as ever."""
        world = self.world(data, "erasures", erasures=True)
        a, b, c = data.draw(st.tuples(*[st.sampled_from(world.written)] * 3), label="rows")
        assert canonical(self.join([a, b])) == canonical(self.join([b, a]))
        left, right = self.join([self.join([a, b]), c]), self.join([a, self.join([b, c])])
        assert canonical(left) == canonical(right)
        for row in world.rows.values():
            assert self.value(row) == self.expected(world.history(row))

    @given(st.data())
    def test_rows_survive_the_wire(self, data: st.DataObject) -> None:
        """Encoding and decoding a row is the identity, also between two steps."""
        world = self.world(data, "wire")
        reader = RowReader(self.spec, 1)
        for row in world.written[-6:]:
            again = reader.decode(encode_row(row))
            assert again == row
            assert encode_row(again) == encode_row(row)
            assert self.value(again) == self.value(row)


def canonical(value: object) -> Json:
    """A value as its encoding says it, so that two can be compared whatever their classes and the order of names."""
    return msgspec.msgpack.decode(pack(value), ext_hook=unpack_extension)
