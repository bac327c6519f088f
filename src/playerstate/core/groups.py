"""Consumer groups: who is told of which changes."""

from __future__ import annotations

from enum import StrEnum

from playerstate.core.schema import KeySpec


class Wants(StrEnum):
    """Which notices a consumer group is sent."""

    EVERYTHING = "everything"
    PUBLISHED = "published"
    EDGES = "edges"

    def includes(self, spec: KeySpec) -> bool:
        """Whether the notices of a key are among them."""
        if self is Wants.EDGES:
            return spec.edge is not None
        return self is Wants.EVERYTHING or spec.published
