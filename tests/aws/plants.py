"""Bugs to plant in what runs on AWS, each with the promises that it breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from playerstate.aws.applying import Applying
from playerstate.aws.event_queue import EventQueue
from playerstate.aws.events import Response, failures
from playerstate.backends.aws.commits import Commits, _Try
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.core.model import View
from playerstate.errors import OutcomeUnknown, PlayerStateError
from playerstate.ports.cache import Put


class Plant(NamedTuple):
    """A bug, and the names of the checkers of which any has to object."""

    plant: Callable[[pytest.MonkeyPatch], None]
    checkers: Sequence[str]


def time_out_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes a write whose outcome is unknown for done."""
    real = _Try.fail

    def fail(one: _Try, error: PlayerStateError, *, again: bool = False) -> None:
        real(one, error, again=again)
        if isinstance(error, OutcomeUnknown):
            one.written = True

    monkeypatch.setattr(_Try, "fail", fail)


def condition_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that writes a row whatever it holds by now."""
    real = Commits._statement

    def statement(commits: Commits, *write: Any) -> dict[str, Any]:
        conditional = real(commits, *write)
        text, parameters = conditional["Statement"], conditional["Parameters"]
        if not text.startswith("UPDATE"):
            return conditional
        return {"Statement": text.rpartition(" AND ")[0], "Parameters": parameters[:-1]}

    monkeypatch.setattr(Commits, "_statement", statement)


def failure_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that answers success for a batch that it could not finish."""
    real = Applying.__call__

    def answering(function: Applying, event: object) -> Response:
        real(function, event)
        return failures([])

    monkeypatch.setattr(Applying, "__call__", answering)


def messages_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of a queue that answers success for messages that it could not take."""
    monkeypatch.setattr(EventQueue, "left", property(lambda _: []))


def cache_without_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that takes every view that it is offered."""

    def put(cache: ValkeyCache, views: Sequence[View]) -> list[Put]:
        cache.replace(views)
        return [Put.WRITTEN] * len(views)

    monkeypatch.setattr(ValkeyCache, "put", put)


PLANTS: Mapping[str, Plant] = {
    "time_out_for_success": Plant(time_out_for_success, ["nothing_acknowledged_is_lost"]),
    "condition_skipped": Plant(condition_skipped, ["nothing_acknowledged_is_lost", "once", "sums"]),
    "failure_for_success": Plant(failure_for_success, ["nothing_acknowledged_is_lost", "in_order"]),
    "messages_forgotten": Plant(messages_forgotten, ["explained", "graph_in_step"]),
    "cache_without_comparison": Plant(cache_without_comparison, ["never_backwards", "cache_in_step"]),
}
