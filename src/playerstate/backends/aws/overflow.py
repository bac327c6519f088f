"""Bodies that are too large for a message, as objects in S3.

An object is named by what is in it, so that putting it again makes no second one. Nobody deletes it: several queues may
have messages that name it, and dead letters keep them. A lifecycle rule of the bucket does, after more days than a
message can wait, dead ones included (14 days each).
"""

from __future__ import annotations

import hashlib

from botocore.exceptions import BotoCoreError, ClientError

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.errors import code_of, translated
from playerstate.errors import Unavailable

_NOT_THERE = frozenset({"NoSuchKey", "404"})


class S3Overflow:
    """An `Overflow`: the objects of a bucket whose keys begin with `prefix`."""

    def __init__(self, clients: Clients, bucket: str, *, prefix: str = "messages/") -> None:
        self._clients = clients
        self._bucket = bucket
        self._prefix = prefix

    def put(self, body: bytes) -> str:
        """Keep a body and return its name."""
        name = f"{self._prefix}{hashlib.sha256(body).hexdigest()}"
        # putting it again changes nothing, so nothing is ever unknown about it
        self._clients.read("s3", "put_object", Bucket=self._bucket, Key=name, Body=body)
        return name

    def get(self, name: str) -> bytes | None:
        """The body of that name; None if there is none."""
        if not name.startswith(self._prefix):
            return None
        try:
            answer = self._clients.read("s3", "get_object", Bucket=self._bucket, Key=name)
        except Unavailable as exc:
            if isinstance(exc.__cause__, ClientError) and code_of(exc.__cause__) in _NOT_THERE:
                return None
            raise
        try:
            return answer["Body"].read()
        except (BotoCoreError, OSError) as exc:
            raise translated(exc, "s3 get_object", changes=False) from exc
