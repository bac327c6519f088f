"""Parts in memory, or on this machine, as a function that may die has them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from aws.faults import DEATHS, EFFECTLESS, Died, Fault, Faults, Gate
from playerstate.errors import OutcomeUnknown, Unavailable


class FaultyPart:
    """A part at whose calls things go wrong, in the terms of its port. Calls of the names in `writes` pass the gate."""

    def __init__(self, part: Any, name: str, faults: Faults, gate: Gate, *, writes: Collection[str]) -> None:
        self._part = part
        self._name = name
        self._faults = faults
        self._gate = gate
        self._writes = writes

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._part, name)
        return self._watched(name, attribute) if callable(attribute) else attribute

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def calling(*arguments: Any, **named: Any) -> Any:
            writes = name in self._writes
            if writes:
                self._gate.pass_through()
            fault = self._faults.at(f"{self._name} {name}", mortal=True)
            if fault is None:
                return real(*arguments, **named)
            if fault not in EFFECTLESS and fault not in (Fault.THROTTLED, Fault.SOME):
                real(*arguments, **named)
            if fault in DEATHS:
                raise Died
            if writes and fault in (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.BROKEN_BEFORE, Fault.BROKEN_AFTER):
                raise OutcomeUnknown(f"{self._name} {name}")
            raise Unavailable(f"{self._name} {name}")

        return calling
