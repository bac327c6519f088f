"""Secrets are read once, and again when they have proved wrong; what they open is asked for by whoever needs it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ministack import MiniStack
from playerstate.aws import settings as s
from playerstate.aws.access import Secret, audit_token, cache_credentials
from playerstate.aws.settings import Environment
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.clients import Clients
from playerstate.errors import StartRefused, Unavailable


class Counting:
    """Clients that count what is read."""

    def __init__(self, clients: Clients) -> None:
        self.calls = 0
        self.region = clients.region
        self._clients = clients

    def read(self, *names: str, **parameters: Any) -> Any:
        self.calls += 1
        return self._clients.read(*names, **parameters)


@pytest.fixture
def clients(ministack: MiniStack) -> Counting:
    return Counting(ministack.clients())


def make_secret(ministack: MiniStack, text: str) -> str:
    name = ministack.name("secret")
    ministack.clients().write("secretsmanager", "create_secret", Name=name, SecretString=text)
    return name


def rotate(ministack: MiniStack, name: str, text: str) -> None:
    ministack.clients().write("secretsmanager", "put_secret_value", SecretId=name, SecretString=text)


def wiring(clients: Counting, **given: str) -> Wiring:
    settings = {getattr(s, name.upper()).variable: value for name, value in given.items()}
    return Wiring(Environment.of_process(settings), clients)  # type: ignore[arg-type]


def test_a_secret_is_read_once_until_it_proves_wrong(ministack: MiniStack, clients: Counting) -> None:
    """However often it is asked for; a refusal has it read anew, which is how a rotated one comes in."""
    name = make_secret(ministack, "first")
    secret = Secret(clients, name)  # type: ignore[arg-type]
    assert [secret.text() for _ in range(3)] == ["first"] * 3
    assert clients.calls == 1
    rotate(ministack, name, "second")
    assert secret.text() == "first"
    assert secret.text(refresh=True) == "second"
    assert secret.text() == "second"
    assert clients.calls == 2


def test_fields(ministack: MiniStack, clients: Counting) -> None:
    """A secret may be an object, as rotation functions write them, or a plain text."""
    plain = Secret(clients, make_secret(ministack, "open sesame"))  # type: ignore[arg-type]
    assert plain.field("password") == "open sesame"
    written = Secret(clients, make_secret(ministack, json.dumps({"password": "p"})))  # type: ignore[arg-type]
    assert written.field("password") == "p"
    with pytest.raises(StartRefused, match="token"):
        written.field("token")


def test_a_secret_that_is_not_there(clients: Counting) -> None:
    """It is said, and tried again by whoever wants to."""
    with pytest.raises(Unavailable):
        Secret(clients, "nobody-has-made-it").text()  # type: ignore[arg-type]


def test_the_caches_password(ministack: MiniStack, clients: Counting) -> None:
    """It is read at the first connection, and again when the server refuses it."""
    name = make_secret(ministack, "old")
    credentials = cache_credentials(wiring(clients, cache_secret=name, cache_user="game"))
    assert credentials is not None
    assert credentials(refused=False) == ("game", "old")
    rotate(ministack, name, "new")
    assert credentials(refused=False) == ("game", "old")
    assert credentials(refused=True) == ("game", "new")


def test_a_cache_without_a_password(clients: Counting) -> None:
    """Nothing is asked for."""
    assert cache_credentials(wiring(clients)) is None
    assert clients.calls == 0


def test_influxdbs_token(ministack: MiniStack, clients: Counting) -> None:
    """As the password: once, and again when it is refused."""
    name = make_secret(ministack, json.dumps({"token": "t1"}))
    token = audit_token(wiring(clients, audit_secret=name))
    assert (token(False), token(False)) == ("t1", "t1")
    rotate(ministack, name, json.dumps({"token": "t2"}))
    assert token(True) == "t2"
    assert clients.calls == 2
    assert audit_token(wiring(clients))(False) == ""
