"""How often a cluster is asked again, and what is done in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import NamedTuple, TypeAlias

import redis
from redis.exceptions import AskError, ClusterDownError, MovedError, NoScriptError, ReadOnlyError, TryAgainError

from playerstate.backends.valkey.orders import told
from playerstate.backends.valkey.slots import Address
from playerstate.backends.valkey.translated import unavailable

TRIES_MAX = 6
PATIENCE_S = 2.0
"""How long a call is tried again. A fail-over takes longer: meanwhile calls are `Unavailable`."""

PAUSE_MIN_S, PAUSE_MAX_S = 0.02, 0.5

_SETTLED_AT_ONCE = (AskError, MovedError, NoScriptError)
_PASSING = (redis.ConnectionError, redis.TimeoutError, OSError, ClusterDownError, ReadOnlyError, TryAgainError)

_NOT_GONE = (*_SETTLED_AT_ONCE, TryAgainError)

Refresh: TypeAlias = Callable[[Iterable[Address], Iterable[Address]], None]
"""Reads the map of slots anew; told which nodes to ask last, and which first. Raises the driver's errors."""


class Failure(NamedTuple):
    """Why something has to be tried again: what was said, and by which node; None where nobody serves the slot."""

    node: Address | None
    error: Exception


def not_served() -> ClusterDownError:
    """The error for a slot without a primary."""
    return ClusterDownError("No node of the cluster serves the slot")


class Trial:
    """The tries of one call."""

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait
        self._tries = 0
        self._began_at = monotonic()

    def again(self, failures: Sequence[Failure], refresh: Refresh) -> None:
        """Return when it is time for the next try. Raises `Unavailable` if there is to be none.

        The map is read anew even if this was the last try: the next call begins with it.
        """
        for _, error in failures:
            if not _may_pass(error):
                raise unavailable(error) from error
        self._tries += 1
        last = failures[-1].error
        hints = [told(error, node) for node, error in failures if isinstance(error, MovedError)]
        gone = [node for node, error in failures if node and not isinstance(error, _NOT_GONE)]
        if hints or gone or any(node is None for node, _ in failures):
            try:
                refresh(gone, hints)
            except redis.AuthenticationError as exc:
                raise unavailable(exc) from exc
            except (redis.RedisError, OSError) as exc:
                last = exc
        if self._tries == TRIES_MAX or monotonic() - self._began_at > PATIENCE_S:
            raise unavailable(last) from last
        if self._tries > 1 or not all(isinstance(error, _SETTLED_AT_ONCE) for _, error in failures):
            self._wait(min(PAUSE_MIN_S * 2.0 ** (self._tries - 1), PAUSE_MAX_S))


def _may_pass(error: Exception) -> bool:
    return isinstance(error, (*_PASSING, *_SETTLED_AT_ONCE)) and not isinstance(error, redis.AuthenticationError)
