"""Secrets: read once, and again when what they open does not open any more."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from playerstate.aws import settings as s
from playerstate.backends.aws.clients import Clients
from playerstate.errors import StartRefused

if TYPE_CHECKING:
    from playerstate.aws.wiring import Wiring


class Secret:
    """A secret of Secrets Manager, as text. `refresh` reads it again."""

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name
        self._text: str | None = None
        self._reading = threading.Lock()

    def text(self, *, refresh: bool = False) -> str:
        """The secret; read anew if `refresh` says that it has proved wrong. Raises `NotNow`."""
        with self._reading:
            if self._text is None or refresh:
                answer = self._clients.read("secretsmanager", "get_secret_value", SecretId=self._name)
                self._text = str(answer.get("SecretString") or "")
            return self._text

    def field(self, name: str, *, refresh: bool = False) -> str:
        """A field of a secret that is a JSON object, or the whole of one that is not."""
        text = self.text(refresh=refresh)
        try:
            found = json.loads(text)
        except ValueError:
            return text
        if not isinstance(found, dict):
            return text
        value = found.get(name)
        if not isinstance(value, str):
            raise StartRefused(f"The secret {self._name} has no text {name!r}")
        return value


class Credentials(Protocol):
    """Asked for a name and a password at each new connection, and again with `refused` if they did not open."""

    def __call__(self, *, refused: bool) -> tuple[str, str]:
        """The name and the password."""
        ...


def cache_credentials(wiring: Wiring) -> Credentials | None:
    """How to log in to the cache: with an IAM token, with a secret's password, or not at all."""
    user = wiring.environment.text(s.CACHE_USER)
    cache_name = wiring.environment.text(s.CACHE_IAM)
    if cache_name:
        from playerstate.backends.aws.cache_token import CacheToken

        return CacheToken(wiring.clients.session, wiring.clients.region, cache=cache_name, user=user)
    name = wiring.environment.text(s.CACHE_SECRET)
    if not name:
        return None
    secret = Secret(wiring.clients, name)

    def credentials(*, refused: bool) -> tuple[str, str]:
        return user, secret.field("password", refresh=refused)

    return credentials


def audit_token(wiring: Wiring) -> Callable[[bool], str]:
    """What opens InfluxDB; asked with True if the last one did not."""
    name = wiring.environment.text(s.AUDIT_SECRET)
    if not name:
        return lambda _: ""
    secret = Secret(wiring.clients, name)
    return lambda refused: secret.field("token", refresh=refused)
