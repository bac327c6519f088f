"""Step Functions -> verify -> findings, repairs."""

from __future__ import annotations

from playerstate.aws.handler import Handler
from playerstate.aws.verifying import verifying

handler = Handler("verify", verifying)
