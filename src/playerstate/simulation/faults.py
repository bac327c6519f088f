"""What may happen to a process at a call of a part: it dies before it, after it, or with the call still on its way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple, TypeAlias


class LateCall(NamedTuple):
    """A call that was on its way when its process died, at a moment of the fate's; it takes effect later."""

    part: Any
    name: str
    arguments: tuple[Any, ...]
    moment: int

    def arrive(self) -> None:
        """Take effect."""
        getattr(self.part, self.name)(*self.arguments)


Late: TypeAlias = list[LateCall]


LATE_TIMES = 4
"""How much likelier a call is to come late than a process is to die at it."""


class Crashed(BaseException):
    """The process has died here. It is no `Exception`, for nothing in the process may survive it."""


class Fate:
    """Where processes die. `share` is the share of calls at which one does, while it is `armed`."""

    def __init__(self, random: Random, share: float) -> None:
        self._random = random
        self._share = share
        self.armed = True
        self.moment = 0

    @contextmanager
    def spares(self) -> Iterator[None]:
        """Nobody dies meanwhile."""
        armed, self.armed = self.armed, False
        try:
            yield
        finally:
            self.armed = armed

    def strikes(self, *, times: int = 1) -> bool:
        """Whether this is where; `times` as likely as elsewhere."""
        return self.armed and self._random.random() < self._share * times


class Mortal:
    """A part, as a process that may die has it.

    Calls of the names in `slow` may also come late: the process is taken for dead and is replaced, and what it had
    sent arrives at some time after that.
    """

    def __init__(self, part: Any, fate: Fate, late: Late, *, slow: Collection[str] = ()) -> None:
        self._part = part
        self._fate = fate
        self._late = late
        self._slow = slow

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._part, name)
        return self._watched(name, attribute) if callable(attribute) else attribute

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            if name in self._slow and self._fate.strikes(times=LATE_TIMES):
                self._late.append(LateCall(self._part, name, arguments, self._fate.moment))
                raise Crashed
            if self._fate.strikes():
                raise Crashed
            result = call(*arguments, **named)
            if self._fate.strikes():
                raise Crashed
            return result

        return watched
