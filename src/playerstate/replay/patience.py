"""Making a call again for as long as that may help."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from playerstate.errors import NotNow, OutcomeUnknown, SlowDown

TRIES_MAX = 60
PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 2.0

P = ParamSpec("P")
T = TypeVar("T")


class Patience:
    """Makes calls that are harmless to repeat, again after a pause when they fail, at most `TRIES_MAX` times
    each.

    `wait` is called with the seconds of each pause. `retries` counts the calls that were made again.
    """

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait
        self.retries = 0

    def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the call returns in the end. Raises what it raised last."""
        pause_s = PAUSE_S_MIN
        for _ in range(TRIES_MAX - 1):
            try:
                return call(*args, **kwargs)
            except (NotNow, OutcomeUnknown) as exc:
                self._wait(exc.retry_after_s if isinstance(exc, SlowDown) else pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
                self.retries += 1
        return call(*args, **kwargs)
