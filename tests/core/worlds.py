"""A world of three regions with one key, in which a schedule is carried out at the level of rows.

Regions take steps, and receive rows that were written at any time before, in any order, some twice and some never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec

from playerstate.core.model import Json, Op, Reason
from playerstate.core.numbers import pack, unpack_extension
from playerstate.core.row import Row, join_rows
from playerstate.core.types import At, DataType, Refused
from playerstate.core.version_vector import covers
from playerstate.core.wire import ROW_VERSION

REGIONS = ("a", "b", "c")
T = TypeVar("T")


class Tape:
    """Choices made by bytes: Hypothesis draws a whole schedule at once, and shrinks it byte by byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data.rstrip(b"\0")  # past the end there are zeros
        self._bytes = iter(self._data)

    def __repr__(self) -> str:
        return f"Tape({self._data!r})"

    def number(self, below: int) -> int:
        """A number from 0, the simplest."""
        return next(self._bytes, 0) % below

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, of which the first is the simplest."""
        return options[self.number(len(options))]


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
    """One operation of a region's step `n`, the `index`-th, taken when the region knew what `before` counts."""

    region: str
    n: int
    index: int
    epoch: int
    op: Op
    time_us: int
    seen: dict[str, int] | None
    before: dict[str, int]

    def same_step(self, other: Event) -> bool:
        """Whether both are operations of one update."""
        return (self.region, self.n) == (other.region, other.n)

    def knew(self, other: Event) -> bool:
        """Whether the other one is in this one's causal history."""
        if self.same_step(other):
            return other.index < self.index
        return self.before.get(other.region, 0) >= other.n

    def observed(self, other: Event) -> bool:
        """Whether the region knew of the other one, and the writer had read it."""
        return self.knew(other) and (self.seen is None or self.seen.get(other.region, 0) >= other.n)


History: TypeAlias = Sequence[Event]
"""Operations that took effect, each after all that it knew."""


class Subject(Protocol):
    """What is tried out: a type, how to draw an operation, and what the specification says of one."""

    @property
    def data_type(self) -> DataType[Any]: ...

    def operation(self, tape: Tape) -> Op: ...

    def apply(self, state: Any, op: Op, at: At) -> Any: ...

    def refusal(self, history: History, event: Event) -> Reason | None: ...


@dataclass
class World:
    """Every region's row, every row that was ever written, and what took effect."""

    subject: Subject
    rows: dict[str, Row[Any]] = field(default_factory=dict)
    written: list[Row[Any]] = field(default_factory=list)
    log: list[Event] = field(default_factory=list)
    steps: int = 0

    def __post_init__(self) -> None:
        empty = self._row({}, self.subject.data_type.empty(), 0)
        self.rows = dict.fromkeys(REGIONS, empty)
        self.written = [empty]

    def draw(self, tape: Tape, *, erasures: bool) -> Command:
        """The next command of a schedule."""
        region, kind = tape.pick(REGIONS), tape.number(12)
        if kind >= 8 or (kind == 7 and not erasures):
            return Deliver(region, tape.number(len(self.written)))
        if kind == 7:
            return Erase(region)
        ops = [self.subject.operation(tape) for _ in range(2 if kind == 6 else 1)]
        return Step(region, ops, tape.number(10), tape.number(16) if kind in (4, 5) else None)

    def do(self, command: Command) -> None:
        """Carry out one command."""
        region, row = command.region, self.rows[command.region]
        match command:
            case Step():
                row = self._step(command, row)
            case Deliver():
                row = self.join([row, self.written[command.row]])
            case Erase():
                vector = {**row.vector, region: row.vector.get(region, 0) + 1}
                row = self._row(vector, self.subject.data_type.empty(), row.epoch + 1)
        self.rows[region] = row
        self.written.append(row)

    def join(self, rows: Sequence[Row[Any]]) -> Row[Any]:
        """The row that contains others; they are left alone."""
        before = canonical(rows)
        joined = join_rows(rows, self.subject.data_type)
        assert canonical(rows) == before
        return self._row(joined.vector, joined.state, joined.epoch)

    def history(self, row: Row[Any]) -> list[Event]:
        """What took effect and is contained in a row."""
        return [e for e in self.log if e.epoch == row.epoch and row.vector.get(e.region, 0) >= e.n]

    def settle(self) -> None:
        """Let every region hear of every other's latest row."""
        latest = list(self.rows.values())
        self.rows = {region: self.join([row, *latest]) for region, row in self.rows.items()}

    def _step(self, step: Step, row: Row[Any]) -> Row[Any]:
        read = [old.vector for old in self.written if covers(row.vector, old.vector)]
        seen = None if step.seen is None else read[step.seen % len(read)]
        at = At(step.region, row.vector.get(step.region, 0) + 1, step.time_us, seen)
        state, new = row.state, list[Event]()
        for index, op in enumerate(step.ops):
            event = Event(at.region, at.n, index, row.epoch, op, at.time_us, seen, row.vector)
            expected = self.subject.refusal([*self.history(row), *new], event)
            answer = _apply(self.subject, state, op, at)
            reason = answer.reason if isinstance(answer, Refused) else None
            assert reason is expected
            if isinstance(answer, Refused):
                state, new = (answer.note(row.state) if answer.note else row.state), []
                break
            state, new = answer, [*new, event]
        self.log += new
        self.steps += 1
        return self._row({**row.vector, at.region: at.n}, state, row.epoch)

    def _row(self, vector: dict[str, int], state: Any, epoch: int) -> Row[Any]:
        return Row(ROW_VERSION, self.subject.data_type.name, 1, 0, epoch, vector, state, {}, [])


def canonical(value: object) -> Json:
    """A value as its encoding says it: two can be compared whatever their classes and the order of names."""
    return msgspec.msgpack.decode(pack(value), ext_hook=unpack_extension)


def _apply(subject: Subject, state: Any, op: Op, at: At) -> Any:
    """The state after the operation, or its refusal. The state that is given is left alone in either case."""
    before = canonical(state)
    try:
        return subject.apply(state, op, at)
    except Refused as refusal:
        return refusal
    finally:
        assert canonical(state) == before
