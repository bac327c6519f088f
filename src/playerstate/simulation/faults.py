"""What may happen to a process at a call of a part: it dies before it, after it, or with the call still on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, TypeAlias

from playerstate.core.replica import Write
from playerstate.ports.store import Store

Late: TypeAlias = "list[Callable[[], object]]"
"""Calls that were on their way when their process died, and that take effect later."""


class Crashed(BaseException):
    """The process has died here. It is no `Exception`, for nothing in the process may survive it."""


class Fate:
    """Where processes die. `share` is the share of calls at which one does, while it is `armed`."""

    def __init__(self, random: Random, share: float) -> None:
        self._random = random
        self._share = share
        self.armed = True

    @contextmanager
    def spares(self) -> Iterator[None]:
        """Nobody dies meanwhile."""
        armed, self.armed = self.armed, False
        try:
            yield
        finally:
            self.armed = armed

    def strikes(self) -> bool:
        """Whether this is where."""
        return self.armed and self._random.random() < self._share


class Mortal:
    """A part, as a process that may die has it."""

    def __init__(self, part: Any, fate: Fate) -> None:
        self._part = part
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._part, name)
        return self._watched(attribute) if callable(attribute) else attribute

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            if self._fate.strikes():
                raise Crashed
            result = call(*arguments, **named)
            if self._fate.strikes():
                raise Crashed
            return result

        return watched


class MortalStore(Mortal):
    """A store whose commits may come late: the process is taken for dead, and is replaced, before they arrive."""

    def __init__(self, store: Store, fate: Fate, late: Late) -> None:
        super().__init__(store, fate)
        self._late = late

    def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
        """As a store's."""
        if self._fate.strikes():
            sent = [list(group) for group in groups]
            self._late.append(lambda: self._part.commit(sent))
            raise Crashed
        committed: list[bool] = self._watched(self._part.commit)(groups)
        return committed
