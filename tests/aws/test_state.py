"""A deployment as a `PlayerState`: what it tells of itself, and why it cannot be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import update
from ministack import REGION, MiniStack
from playerstate.aws import settings as s
from playerstate.aws.state import AwsState, connect, wiring_at
from playerstate.aws.trial import make_trial
from playerstate.core.answers import Accepted
from playerstate.core.model import DeadLetter
from playerstate.errors import StartRefused
from playerstate.folder import starter_schema


@pytest.fixture
def test_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the emulator lets in."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.mark.usefixtures("test_credentials")
def test_dead_letters_are_told_by_stage_and_age(ministack: MiniStack, tmp_path: Path) -> None:
    """As a node tells them: how many there are of each stage, and how old the oldest is."""
    given = {s.CACHE_URL: "redis://127.0.0.1:1", s.GRAPH_URL: f"ladybug:{tmp_path / 'graph'}"}
    url = make_trial(ministack.clients(), ministack.name("stats"), REGION, given, schema_text=starter_schema())
    wiring = wiring_at(url, endpoint_url=ministack.url)
    state, now = AwsState(wiring), wiring.clock.now_ms()
    empty = state.stats()
    assert (empty.dead_letters, empty.dead_letters_by_stage, empty.dead_letters_oldest_s) == (0, {}, 0)
    wiring.dead_letters.put(
        [
            DeadLetter("one", "apply", now - 60_000, "malformed", "a test", b"?"),
            DeadLetter("two", "apply", now, "malformed", "a test", b"?"),
            DeadLetter("three", "link", now, "malformed", "a test", b"?"),
        ]
    )
    told = state.stats()
    assert (told.dead_letters, told.dead_letters_by_stage) == (3, {"apply": 2, "link": 1})
    assert told.dead_letters_oldest_s >= 60


@pytest.mark.usefixtures("test_credentials")
def test_drain_waits_for_what_was_sent_and_for_the_queues(ministack: MiniStack, tmp_path: Path) -> None:
    """Where no function runs an update has no outcome and a message stays: neither is taken for drained."""
    given = {
        s.CACHE_URL: "redis://127.0.0.1:1",
        s.GRAPH_URL: f"ladybug:{tmp_path / 'graph'}",
        s.AUDIT_URL: f"sqlite:{tmp_path / 'audit.db'}",
    }
    url = make_trial(ministack.clients(), ministack.name("drain"), REGION, given, schema_text=starter_schema())
    wiring = wiring_at(url, endpoint_url=ministack.url)
    state = AwsState(wiring)
    assert state.drain(timeout_s=0)
    queue = next(iter(state.parts.queues.values()))
    queue.send([b"a notice"])
    assert not state.drain(timeout_s=0)
    queue.delete([message.receipt for message in queue.receive(1, visibility_s=60)])
    assert state.drain(timeout_s=0)
    assert isinstance(state.send(update(sent_at=wiring.clock.now_ms())), Accepted)
    assert not state.drain(timeout_s=0)


@pytest.mark.parametrize("url", ["aws://us-east-1", "aws:///name", "aws://[us/name", "redis://us-east-1/name", ""])
def test_what_is_no_url(url: str) -> None:
    """Refused before anything is asked."""
    with pytest.raises(StartRefused, match="A deployment's URL is like"):
        connect(url)


def test_a_profile_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours, which names it."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StartRefused, match="nobody"):
        connect("aws://us-east-1/name")
