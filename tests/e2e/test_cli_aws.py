"""The commands against a deployment on AWS: the same words, the same answers, with `--url` in place of a folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aws.cloud import Told
from e2e.program import ENVIRONMENT, Ran, run
from ministack import REGION, MiniStack
from playerstate.aws import settings as s
from playerstate.aws.applying import applying
from playerstate.aws.projecting import projecting
from playerstate.aws.state import wiring_at
from playerstate.aws.trial import make_trial
from playerstate.folder import starter_schema
from playerstate.lambdas import audit

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "aws_demo"))

from driver import Driver

Command = Callable[..., Ran]


@pytest.fixture
def deployment(ministack: MiniStack, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A deployment whose functions are called; its URL. Commands find the emulator as they would find AWS."""
    given = {
        s.CACHE_URL: valkey_url,
        s.GRAPH_URL: f"ladybug:{tmp_path / 'graph'}",  # which takes one process: the commands'
        s.AUDIT_URL: f"sqlite:{tmp_path / 'audit.db'}",
        s.PROJECT_FUNCTION: "project",
    }
    url = make_trial(ministack.clients(), ministack.name("cli"), REGION, given, schema_text=starter_schema())
    for name, value in {
        "AWS_ENDPOINT_URL": ministack.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setitem(ENVIRONMENT, name, value)
    wiring, told = wiring_at(url, endpoint_url=ministack.url), Told()
    wiring.cache.clear()
    driver = Driver(wiring.clients)
    text = wiring.environment.text
    driver.stream("apply", text(s.STREAM), applying(wiring, told))
    driver.table("project", text(s.TABLE), projecting(wiring, told))
    driver.queue("audit", text(s.AUDIT_QUEUE_URL), audit.make(wiring, told))
    yield url
    driver.stop()
    assert driver.errors == []


def until(command: Callable[[], Ran], condition: Callable[[Any], bool]) -> Any:
    """What a command tells, as soon as it is what is waited for."""
    for _ in range(60):
        document = command().document()
        if condition(document):
            return document
    raise AssertionError(f"waited in vain, last: {document}")


def test_the_commands(deployment: str) -> None:
    """Sent, read, found in the history, and refused as on one machine; a wrong call says what is wrong."""
    at = ("--url", deployment, "--json")
    sent = run("send", "ada", "gold", "add", "50", *at)
    assert (sent.code, sent.document()["outcome"]["status"]) == (0, "applied")
    refused = run("send", "ada", "gold", "subtract", "80", *at)
    assert (refused.code, refused.document()["outcome"]["reason"]) == (1, "insufficient")
    until(lambda: run("get", "ada", "gold", *at), lambda view: view["value"] == 50)
    page = until(lambda: run("history", "ada", *at), lambda found: len(found["transitions"]) == 2)
    assert {transition["state_key"] for transition in page["transitions"]} == {"gold"}
    assert run("dead-letters", "list", *at).code == 0
    assert run("verify", "--all", *at).code == 0
    assert run("findings", *at).code == 0
    amended = run("set", "ada", "gold", "7", "--reason", "ticket 1", "--yes", *at)
    assert amended.code == 0
    until(lambda: run("get", "ada", "gold", *at), lambda view: view["value"] == 7)


def test_wrong_calls(deployment: str, ministack: MiniStack, tmp_path: Path) -> None:
    """One line each, and an exit code that says whose fault it is."""
    nowhere = run("get", "ada", "--url", f"aws://{REGION}/{ministack.name('nothing')}")
    assert nowhere.code == 3
    assert "There is no parameter" in nowhere.err
    assert run("get", "ada", "--url", "redis://somewhere").code == 3
    both = run("get", "ada", "--url", deployment, "--data", str(tmp_path))
    assert both.code == 2
    assert "not both" in both.err
    unknown = run("get", "ada", "no-such-key", "--url", deployment)
    assert unknown.code == 1
