"""The laws that every data type obeys, each stated once. A type adds a generator of operations and a specification.

A specification is a plain reading of what the type means: from the operations that took effect, and which of them
knew of which, it says what the value is, and which operation is refused. It shares no code with the type.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from itertools import combinations
from typing import Any, ClassVar

import hypothesis
import msgspec
from hypothesis import strategies as st

from core.worlds import Event, History, Tape, World, canonical
from playerstate.core.model import Json, Op, Reason
from playerstate.core.row import Row
from playerstate.core.schema import KeySpec
from playerstate.core.types import DATA_TYPES, At, DataType
from playerstate.core.version_vector import covers
from playerstate.core.wire import RowReader, encode_row

EXAMPLES: Counter[tuple[str, str]] = Counter()
"""(type, law) -> on how many schedules it was tried; told at the end of the run."""

STEPS: Counter[str] = Counter()
"""Type -> how many steps those schedules took."""

given_schedule = hypothesis.given(commands=st.integers(1, 24), tape=st.binary(min_size=160, max_size=160).map(Tape))


class Laws(ABC):
    """Inherit it as `Test...` with a specification, and every law is tested."""

    spec: ClassVar[KeySpec]

    @abstractmethod
    def operation(self, tape: Tape) -> Op:
        """Draw an operation."""

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
    def data_type(self) -> DataType[Any]:
        """The type."""
        return DATA_TYPES[self.spec.type]

    def value(self, row: Row[Any]) -> Json:
        """What readers see of a row."""
        return self.data_type.value(row.state, self.spec)

    def check(self, world: World, row: Row[Any]) -> None:
        """The row shows what the specification says of what took effect."""
        assert self.value(row) == self.expected(world.history(row))

    def world(self, law: str, commands: int, tape: Tape, *, erasures: bool = False) -> World:
        """A world in which a schedule was carried out, checked at every command."""
        world = World(self)
        for _ in range(commands):
            command = world.draw(tape, erasures=erasures)
            hypothesis.note(str(command))
            world.do(command)
            self.check(world, world.rows[command.region])
        EXAMPLES[self.spec.type, law] += 1
        STEPS[self.spec.type] += world.steps
        return world

    @given_schedule
    def test_join_is_commutative_associative_idempotent(self, commands: int, tape: Tape) -> None:
        """On rows of one world, of which some contain others, and some are concurrent."""
        world = self.world("join", commands, tape)
        rows = [*world.rows.values(), tape.pick(world.written), tape.pick(world.written)]
        _check_join(world, rows)

    @given_schedule
    def test_a_row_contains_what_its_vector_counts(self, commands: int, tape: Tape) -> None:
        """To join what is contained changes nothing: `apply` only moves forward, equal vectors mean equal rows."""
        world = self.world("contains", commands, tape)
        rows = world.written[-10:]
        for a in rows:
            for b in rows:
                if covers(a.vector, b.vector):
                    assert canonical(world.join([a, b])) == canonical(a)

    @given_schedule
    def test_regions_converge_in_any_order(self, commands: int, tape: Tape) -> None:
        """Rows that arrive in any order, some twice, some old, come to one view of all that took effect."""
        world = self.world("converges", commands, tape)
        latest = list(world.rows.values())
        some = [*latest, *(tape.pick([*latest, *world.written]) for _ in range(4))]
        one, other = world.join(_shuffled(latest, tape)), world.join(_shuffled(some, tape))
        assert canonical(one) == canonical(other)
        assert msgspec.json.encode(self.value(one)) == msgspec.json.encode(self.value(other))
        self.check(world, one)
        world.settle()
        assert all(canonical(row) == canonical(one) for row in world.rows.values())

    @given_schedule
    def test_laws_hold_across_erasures(self, commands: int, tape: Tape) -> None:
        """An erasure supersedes what came before it and what was concurrent; the rest goes on as ever."""
        world = self.world("erasures", commands, tape, erasures=True)
        _check_join(world, [*world.rows.values(), tape.pick(world.written), tape.pick(world.written)])

    @given_schedule
    def test_rows_survive_the_wire(self, commands: int, tape: Tape) -> None:
        """Encoding and decoding a row is the identity."""
        world = self.world("wire", commands, tape)
        reader = RowReader(self.spec, 1)
        for row in world.written[-10:]:
            again = reader.decode(encode_row(row))
            assert again == row
            assert encode_row(again) == encode_row(row)
            assert self.value(again) == self.value(row)


def _check_join(world: World, rows: list[Row[Any]]) -> None:
    for row in rows:
        assert canonical(world.join([row, row])) == canonical(row)
    for a, b, c in combinations(rows, 3):
        assert canonical(world.join([a, b])) == canonical(world.join([b, a]))
        left, right = world.join([world.join([a, b]), c]), world.join([a, world.join([b, c])])
        assert canonical(left) == canonical(right)


def _shuffled(rows: list[Row[Any]], tape: Tape) -> list[Row[Any]]:
    rows = list(rows)
    return [rows.pop(tape.number(len(rows))) for _ in range(len(rows))]
