"""Kinesis -> apply -> DynamoDB."""

from __future__ import annotations

from playerstate.aws.applying import applying
from playerstate.aws.handler import Handler

handler = Handler("apply", applying)
