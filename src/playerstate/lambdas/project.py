"""The table's stream -> project -> cache, topic, the resolver's queue."""

from __future__ import annotations

from playerstate.aws.handler import Handler
from playerstate.aws.projecting import projecting

handler = Handler("project", projecting)
