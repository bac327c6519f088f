"""Consumer groups: what a group wants, and what its subscription lets through, are the same."""

from __future__ import annotations

import pytest

from playerstate.core.groups import FILTER_POLICIES, KeyClass, Wants, key_classes, names_wanted
from playerstate.core.schema import parse_schema

SCHEMA = parse_schema(
    """
    [game]
    name = "t"
    version = 1
    [keys.friends]
    type = "set"
    edge = { label = "FRIEND" }
    [keys.suspects]
    type = "set"
    published = false
    edge = { label = "SUSPECTS" }
    [keys.secret]
    type = "counter"
    published = false
    [keys.gold]
    type = "counter"
    [keys.rank]
    type = "register"
    """
)


@pytest.mark.parametrize("wants", Wants)
def test_a_subscription_lets_through_what_its_group_wants(wants: Wants) -> None:
    """The policy of a group, matched with the attributes of each class of keys, picks the keys that it wants."""
    let_through: set[str] = set()
    for found, names in key_classes(SCHEMA).items():
        attributes = found.attributes
        if all(attributes[name] in allowed for name, allowed in FILTER_POLICIES[wants].items()):
            let_through |= names
    assert let_through == names_wanted(SCHEMA, wants)


def test_each_key_has_one_class() -> None:
    """All keys are in the classes, each in one; a class without keys is not there."""
    classes = key_classes(SCHEMA)
    assert classes == {
        KeyClass(edges=False, published=False): {"secret"},
        KeyClass(edges=False, published=True): {"gold", "rank"},
        KeyClass(edges=True, published=False): {"suspects"},
        KeyClass(edges=True, published=True): {"friends"},
    }
    assert KeyClass(edges=True, published=False).attributes == {"edges": "true", "published": "false"}
    lone = parse_schema('[game]\nname = "t"\nversion = 1\n[keys.gold]\ntype = "counter"\n')
    assert key_classes(lone) == {KeyClass(edges=False, published=True): {"gold"}}
