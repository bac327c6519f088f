"""The contract of a data type: a state-based CRDT that is applied at one region and joined anywhere.

States come in two shapes, and both are filed by region, `{region: ...}`:

- **Parts.** Region i's part is written by region i alone. A join takes each part whole from the row whose vector counts
  more steps of i, so a part may shrink, be kept net, and be dropped when it is empty.
- **Dots.** Region i's entries carry the number of i's step that wrote them. A join keeps an entry that both rows have,
  or that one has and the other's vector does not cover: that the other row lacks it then means "not yet seen",
  otherwise "removed" (Bieniusa et al. 2012, "An optimized conflict-free replicated set"). No tombstones.

The legal order of calls, per row and region: `empty`, then any mix of `apply` (each with the region's next step) and
`join`. `check` comes before `apply`, once, wherever the operation enters. Laws, tested for every type: `join` is
commutative, associative and idempotent; `apply` moves the state forward in the order that `join` induces; no call
changes its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec

from playerstate.core.model import Effect, Json, Op, Reason
from playerstate.core.schema import KeySpec
from playerstate.core.version_vector import VersionVector

S = TypeVar("S")

Arguments: TypeAlias = Mapping[str, tuple[str, ...]]
"""Operation -> the fields of `Op` that it needs; it takes no others."""


class Refused(Exception):
    """The operation cannot take effect on this state.

    `note`, if given, writes down what was wanted: from a state of the region to one that says it.
    """

    def __init__(self, reason: Reason, note: Callable[[Any], Any] | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.note = note


class At(msgspec.Struct, frozen=True, gc=False):
    """Where and when an operation is applied: step `n` of `region`, and the sender's time in microseconds.

    `seen` is the vector that the writer had read; without it the writer has seen all that is here.
    """

    region: str
    n: int
    time_us: int
    seen: VersionVector | None = None

    def observed(self, region: str, n: int) -> bool:
        """Whether the writer had seen what step `n` of `region` wrote."""
        return self.seen is None or self.seen.get(region, 0) >= n


@runtime_checkable
class Escrowed(Protocol[S]):
    """A data type whose regions hold rights, which they may move to one another (see `escrow`)."""

    def give(self, state: S, giver: str, spec: KeySpec, retired: Collection[str] = ()) -> tuple[S, list[Effect]]:
        """The state after `giver` gave what other regions want and lack, as far as it can; what it did, if anything.

        What `retired` regions wanted is void.
        """
        ...

    def take_over(self, state: S, heir: str, gone: str, spec: KeySpec) -> tuple[S, list[Effect]]:
        """The state after `heir` took over all rights that a region holds which is gone; what it did, if anything.

        Once again, later, it takes what has become known since.
        """
        ...

    def overspent(self, state: S, spec: KeySpec) -> dict[str, int]:
        """By how much the value is below its minimum, by item ("" where there are none); only what is."""
        ...


class DataType(Protocol[S]):
    """One data type. States are plain containers; `state_type` is their shape, as msgspec reads it."""

    @property
    def name(self) -> str:
        """What a schema calls the type."""
        ...

    @property
    def state_type(self) -> Any:
        """The shape of its states, as msgspec reads it."""
        ...

    @property
    def arguments(self) -> Arguments:
        """Its operations."""
        ...

    def empty(self) -> S:
        """The state of a key that nobody has written."""
        ...

    def check(self, op: Op, spec: KeySpec) -> None:
        """Raise `InvalidUpdate` if the arguments can never be right; its `where` is a path within the operation."""
        ...

    def commutes(self, op: Op) -> bool:
        """Whether the operation may still take effect after later ones of its producer."""
        ...

    def apply(self, state: S, op: Op, at: At, spec: KeySpec) -> tuple[S, Effect]:
        """The state after the operation, and what it did.

        Raises `Refused` if it cannot take effect here and now.
        """
        ...

    def join(self, a: S, a_vector: VersionVector, b: S, b_vector: VersionVector) -> S:
        """The state that contains both."""
        ...

    def value(self, state: S, spec: KeySpec) -> Json:
        """What readers see, as plain JSON with exact integers."""
        ...
