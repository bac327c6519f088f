"""Records of a DynamoDB stream, decoded."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from playerstate.backends.aws.images import decode_change
from playerstate.core.model import Key
from playerstate.errors import InvalidUpdate
from playerstate.ports.store import Change

KEY = Key("anna", "gold coins")
OLD, NEW = b"\x00old", bytes(range(256))


def record() -> dict[str, Any]:
    """A record as the API gives it."""
    keys = {"player_id": {"S": "anna"}, "state_key": {"S": "gold coins#eu-west-1.2"}}
    return {
        "ApproximateCreationDateTime": 1_700_000_000,
        "Keys": keys,
        "NewImage": {**keys, "version_vector": {"S": "eu-west-1.2:2"}, "body": {"B": NEW}},
        "OldImage": {**keys, "version_vector": {"S": "eu-west-1.2:1"}, "body": {"B": OLD}},
        "SequenceNumber": "4421584500000000017450439091",
        "SizeBytes": 300,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }


def through_json(value: dict[str, Any]) -> dict[str, Any]:
    """The same as a Lambda function gets it."""
    return json.loads(json.dumps(value, default=lambda body: base64.b64encode(body).decode()))


@pytest.mark.parametrize("transport", [dict, through_json])
def test_a_row_that_was_changed(transport: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Both ways of coming give the same change, with the bytes of the row before and after."""
    expected = Change(4421584500000000017450439091, KEY, "eu-west-1.2", OLD, NEW)
    assert decode_change(transport(record())) == expected


@pytest.mark.parametrize("transport", [dict, through_json])
def test_a_row_that_is_new(transport: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """A first write has no row before it. An empty row is one, whatever it may mean."""
    first = record()
    del first["OldImage"]
    first["NewImage"]["body"] = {"B": b""}
    change = decode_change(transport(first))
    assert (change.old, change.new) == (None, b"")
    assert type(change.new) is bytes


def test_further_attributes_are_let_be() -> None:
    """What else an item has, such as what a service adds, is nothing to us."""
    more = record()
    more["NewImage"]["aws:rep:updatetime"] = {"N": "1"}
    assert decode_change(more).new == NEW


WRONG: dict[str, tuple[str, str, Callable[[dict[str, Any]], object]]] = {
    "removed": ("row_removed", "$.NewImage", lambda r: r.pop("NewImage")),
    "keys only": ("no_images", "$.NewImage", lambda r: (r.pop("NewImage"), r.pop("OldImage"))),
    "no keys": ("not_a_row", "$.Keys.player_id", lambda r: r.pop("Keys")),
    "keys of another table": ("not_a_row", "$.Keys.player_id", lambda r: r.update(Keys={"pk": {"S": "x"}})),
    "player is a number": ("not_a_row", "$.Keys.player_id", lambda r: r["Keys"].update(player_id={"N": "1"})),
    "player is empty": ("not_a_row", "$.Keys", lambda r: r["Keys"].update(player_id={"S": ""})),
    "untyped key": ("not_a_row", "$.Keys.state_key", lambda r: r["Keys"].update(state_key="gold#eu")),
    "no region": ("not_a_row", "$.Keys.state_key", lambda r: r["Keys"].update(state_key={"S": "gold"})),
    "empty region": ("not_a_row", "$.Keys.state_key", lambda r: r["Keys"].update(state_key={"S": "gold#"})),
    "two regions": ("not_a_row", "$.Keys.state_key", lambda r: r["Keys"].update(state_key={"S": "a#b#c"})),
    "no body": ("not_a_row", "$.NewImage.body", lambda r: r["NewImage"].pop("body")),
    "body is text": ("not_a_row", "$.NewImage.body", lambda r: r["NewImage"].update(body={"S": "x"})),
    "body is null": ("not_a_row", "$.NewImage.body", lambda r: r["NewImage"].update(body={"B": None})),
    "body is not base64": ("not_a_row", "$.NewImage.body", lambda r: r["NewImage"].update(body={"B": "a b"})),
    "body is not even ASCII": ("not_a_row", "$.NewImage.body", lambda r: r["NewImage"].update(body={"B": "é"})),
    "no vector": ("not_a_row", "$.NewImage.version_vector", lambda r: r["NewImage"].pop("version_vector")),
    "vector is a list": (
        "not_a_row",
        "$.NewImage.version_vector",
        lambda r: r["NewImage"].update(version_vector={"S": []}),
    ),
    "old body is missing": ("not_a_row", "$.OldImage.body", lambda r: r["OldImage"].pop("body")),
    "image is a list": ("not_a_row", "$.NewImage.version_vector", lambda r: r.update(NewImage=[])),
    "no sequence number": ("not_a_row", "$.SequenceNumber", lambda r: r.pop("SequenceNumber")),
    "sequence number is text": ("not_a_row", "$.SequenceNumber", lambda r: r.update(SequenceNumber="x1")),
    "sequence number in other digits": ("not_a_row", "$.SequenceNumber", lambda r: r.update(SequenceNumber="٣")),
}


@pytest.mark.parametrize(("code", "where", "spoil"), WRONG.values(), ids=WRONG)
def test_what_is_no_write_of_a_row(code: str, where: str, spoil: Callable[[dict[str, Any]], object]) -> None:
    """Anything else is refused with a code and the place, and without a word of what it holds."""
    spoiled = record()
    spoil(spoiled)
    with pytest.raises(InvalidUpdate) as refused:
        decode_change(spoiled)
    assert (refused.value.code, refused.value.where) == (code, where)
    assert "anna" not in str(refused.value)
