"""A new schema comes to one region after the other: no region stops where others know keys that it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.test_node import wait_until
from e2e.test_regions import EU, LIMIT_S, THREADS, US, gold, outcome, update
from playerstate.core.model import Key, Status
from playerstate.deployment import Deployment
from playerstate.errors import InvalidUpdate
from playerstate.folder import starter_schema
from playerstate.node import Node

OLDER = starter_schema()
NEWER = (
    OLDER.replace("version = 1", "version = 2") + '[keys.pets]\ntype = "set"\nedge = { label = "PET", to = "Animal" }\n'
)
REX = update(("ada", "pets", "add", {"elements": ["rex"]}))


def came(node: Node, key: Key) -> bool:
    return bool(node.parts.store.load([key])[key]) and node.service.drain(timeout_s=LIMIT_S)


def test_a_key_that_a_region_does_not_know_yet(tmp_path: Path) -> None:
    """It is not shown there, and said to be held; the rest goes on. Once the region knows it, all of it is there."""
    Deployment.make(tmp_path, [US, EU])
    with (
        Node(tmp_path / US, schema_text=OLDER, options=THREADS) as us,
        Node(tmp_path / EU, schema_text=NEWER, options=THREADS) as eu,
    ):
        assert outcome(eu.service, REX).status is Status.APPLIED
        wait_until(lambda: came(us, Key("ada", "pets")), "the row does not come")
        assert outcome(us.service, gold(5)).status is Status.APPLIED
        assert us.service.drain(timeout_s=LIMIT_S)
        us.parts.cache.clear()
        assert us.service.get("ada", "gold").decoded() == 5
        us.parts.cache.clear()
        assert set(us.service.get_player("ada")) == {"gold"}
        export = us.service.export("ada")
        assert (set(export.keys), export.keys_unknown) == ({"gold"}, ["pets"])
        with pytest.raises(InvalidUpdate, match="no key 'pets'"):
            us.service.get("ada", "pets")
    with Node(tmp_path / US, schema_text=NEWER, options=THREADS) as us:
        assert us.service.get("ada", "pets").decoded() == ["rex"]
        wait_until(lambda: us.service.neighbours("ada", "PET") == ["rex"], "the graph does not follow")
        assert us.service.export("ada").keys_unknown == []


def test_a_row_of_a_later_schema_waits_for_it(tmp_path: Path) -> None:
    """What another region wrote under a higher version of the schema is not touched, and not lost."""
    Deployment.make(tmp_path, [US, EU])
    with (
        Node(tmp_path / US, schema_text=OLDER, options=THREADS) as us,
        Node(tmp_path / EU, schema_text=NEWER, options=THREADS) as eu,
    ):
        assert outcome(us.service, gold(5)).status is Status.APPLIED
        assert us.service.drain(timeout_s=LIMIT_S)
        assert outcome(eu.service, gold(2)).status is Status.APPLIED
        wait_until(lambda: "schema version 2" in (us.stats().stages["project"].last_error or ""), "it does not wait")
        assert us.service.get("ada", "gold").decoded() == 5
        us.service.send(gold(10))
    with Node(tmp_path / US, schema_text=NEWER, options=THREADS) as us:
        wait_until(lambda: us.service.get("ada", "gold").decoded() == 17, "what waited does not come")
