"""Consumer groups: who is told of which changes.

Where each group has a queue that is sent to by itself, what it wants picks the keys. A topic is sent each notice once,
with the class of its key as attributes, and the groups' filter policies pick by those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import NamedTuple

from playerstate.core.model import Stage
from playerstate.core.schema import KeySpec, Schema


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


CONSUMER_GROUPS: Mapping[Stage, Wants] = {"link": Wants.EDGES, "audit": Wants.EVERYTHING}
"""The consumer groups that there always are, by the name of the stage that is fed."""


class KeyClass(NamedTuple):
    """What of a key matters to who is told of it."""

    edges: bool
    published: bool

    @property
    def attributes(self) -> Mapping[str, str]:
        """The class as attributes of a message."""
        return {name: "true" if value else "false" for name, value in self._asdict().items()}


FILTER_POLICIES: Mapping[Wants, Mapping[str, list[str]]] = {
    Wants.EVERYTHING: {},
    Wants.PUBLISHED: {"published": ["true"]},
    Wants.EDGES: {"edges": ["true"]},
}
"""What a subscription lets through, by attributes of the message, as SNS writes it; an empty one lets all through."""


def names_wanted(schema: Schema, wants: Wants | Collection[str]) -> frozenset[str]:
    """The state keys whose notices a group is sent, where it says which, or names them itself."""
    if isinstance(wants, Wants):
        return frozenset([name for name, spec in schema.keys.items() if wants.includes(spec)])
    return frozenset(wants)


def key_classes(schema: Schema) -> dict[KeyClass, frozenset[str]]:
    """The state keys of each class that the schema has any of; each key is in one."""
    classes: dict[KeyClass, set[str]] = {}
    for name, spec in schema.keys.items():
        classes.setdefault(KeyClass(spec.edge is not None, spec.published), set()).add(name)
    return {found: frozenset(names) for found, names in sorted(classes.items())}
