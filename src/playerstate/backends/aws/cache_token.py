"""Logging in to ElastiCache with an IAM identity: the password is a token, good for a quarter of an hour.

The token is a signed request that is never sent: a presigned GET (Signature Version 4) of `connect` to the cache's
name, without its scheme. The server checks it at login alone, and ends the connection after 12 hours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

from playerstate.backends.aws.errors import AuthenticationFailed, translated

VALID_FOR_S = 900
"""How long a token is good, which is as long as it may be."""

USED_FOR_S = 600
"""How long one is used."""

_SERVICE = "elasticache"
_SCHEME = "http://"


class CacheToken:
    """Credentials of one user of one cache, which `ValkeyCache.open` takes.

    The cache is named by its replication group's id, or by its own name where it is `serverless`. Such a user's name
    and id are the same. Raises `Unavailable` where there is no identity to sign with.
    """

    def __init__(
        self,
        session: Any,
        region: str,
        *,
        cache: str,
        user: str,
        serverless: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a session of botocore's, whose credentials sign, and a clock in seconds."""
        self._session = session
        self._region = region
        self._user = user
        parameters = {"Action": "connect", "User": user, **({"ResourceType": "ServerlessCache"} if serverless else {})}
        self._request_url = f"{_SCHEME}{cache.lower()}/?{urlencode(parameters)}"
        self._clock = clock
        self._token = ""
        self._used_until = float("-inf")

    def __call__(self, *, refused: bool) -> tuple[str, str]:
        """The user, and a token that is good for some minutes more."""
        if refused or self._clock() >= self._used_until:
            now = self._clock()
            self._token = self._signed()
            self._used_until = now + USED_FOR_S
        return self._user, self._token

    def _signed(self) -> str:
        try:
            credentials = self._session.get_credentials()
            identity = credentials and credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError, OSError) as exc:
            raise translated(exc, "the identity for the cache", changes=False) from exc
        if not identity:
            raise AuthenticationFailed("the identity for the cache: there are no credentials")
        request = AWSRequest(method="GET", url=self._request_url)
        SigV4QueryAuth(identity, _SERVICE, self._region, expires=VALID_FOR_S).add_auth(request)
        url: str = request.url
        return url.removeprefix(_SCHEME)
