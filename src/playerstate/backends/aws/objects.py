"""Objects of S3."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.errors import code_of, translated
from playerstate.errors import NotNow

GONE = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


def read_object(clients: Clients, bucket: str, key: str) -> bytes | None:
    """What an object holds; None if it is not there. Raises `NotNow`."""
    try:
        answer: dict[str, Any] = clients.read("s3", "get_object", Bucket=bucket, Key=key)
    except NotNow as exc:
        if isinstance(exc.__cause__, ClientError) and code_of(exc.__cause__) in GONE:
            return None
        raise
    try:
        body: bytes = answer["Body"].read()
    except (BotoCoreError, OSError) as exc:
        raise translated(exc, "s3 get_object", changes=False) from exc
    return body
