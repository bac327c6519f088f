"""Writes the golden vectors: what version 1 of every wire form looks like.

    PYTHONPATH=src:tests python tests/core/golden/make.py

They are written once. When a test fails against them, the wire form has changed, and stored rows and records in flight
would not be read any more. Write them anew only together with a new version, and keep the old ones beside them.

What is added at the end of a form, and may be left out, needs no new version: older programs pass over it. What was
written without it is in `before-notes`, and must be read as ever.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from playerstate.core.model import Cause, Effect, Key, Notice, Op, Status, Update
from playerstate.core.producers import Irregular, Part, Seen
from playerstate.core.row import Row
from playerstate.core.schema import KeySpec, TypeName
from playerstate.core.types.register import Written
from playerstate.core.version_vector import format_vector, total
from playerstate.core.views import value_json
from playerstate.core.wire import ROW_VERSION, encode_notices, encode_record, encode_row, encode_update

HERE = Path(__file__).parent
NOW_MS = 1_700_000_000_000
VECTOR = {"eu-west-1": 4, "us-east-1": 12, "us-east-1.2": 1}

MEMORY = {
    "eu-west-1": Part(0, {"@eu-west-1.1": Seen(977, NOW_MS), "game-7": Seen(3, NOW_MS - 5)}),
    "us-east-1": Part(
        NOW_MS - 172_800_000,
        {"game-8": Seen(40, NOW_MS, Irregular(2, [(4, 6), (9, 9)], {10: "refused:insufficient", 11: "superseded"}))},
    ),
}

STATES: dict[TypeName, Any] = {
    "counter": {"eu-west-1": -3, "us-east-1": 2**70},
    "bounded_counter": {"eu-west-1": 250, "us-east-1": [-10, {"eu-west-1": 40}, 90], "us-east-1.2": -(2**64)},
    "register": {"eu-west-1": {"": Written(4, NOW_MS * 1000, {"a": [1, 2.5, None, True, "é"]})}},
    "multi_register": {
        "eu-west-1": {"4": Written(4, NOW_MS * 1000, "warrior")},
        "us-east-1": {"11": Written(11, NOW_MS * 1000 + 1, "mage"), "12": Written(12, NOW_MS * 1000 + 2, None)},
    },
    "max_register": {"eu-west-1": 17, "us-east-1": 10**30},
    "min_register": {"eu-west-1": -17, "us-east-1": -(10**30)},
    "flag": {"us-east-1": {"": 12}},
    "set": {"eu-west-1": {"bert": 2, "cleo": 4}, "us-east-1": {"dora": 12}},
    "map": {"eu-west-1": {"volume": Written(3, NOW_MS * 1000, 0.5)}, "us-east-1": {"theme": Written(9, 7, "dark")}},
    "inventory": {
        "eu-west-1": {"arrow": 2**63, "sword": [1, {"us-east-1": 1}, 0]},
        "us-east-1": {"sword": [-1, {}, 2], "potion": 3},
    },
}

SPECS: dict[TypeName, KeySpec] = {name: KeySpec(type=name) for name in STATES}

EFFECTS: dict[TypeName, list[Effect]] = {
    "counter": [Effect("add", delta=2**70)],
    "bounded_counter": [Effect("set", delta=-4)],
    "register": [Effect("set")],
    "multi_register": [Effect("set")],
    "max_register": [Effect("set")],
    "min_register": [Effect("set")],
    "flag": [Effect("enable", idle=[""])],
    "set": [Effect("add", elements=["dora"], idle=[]), Effect("remove", elements=["bert", "emil"], idle=["emil"])],
    "map": [Effect("remove", field="volume")],
    "inventory": [Effect("subtract", item="sword", delta=-1), Effect("replace", deltas={"potion": 3, "gem": -7})],
}

OTHERS = [("bert", "gold"), ("bert", "bag")]

OPS: dict[TypeName, list[dict[str, Any]]] = {
    "counter": [{"op": "add", "n": -3}, {"op": "add", "n": 2**70}, {"op": "add", "n": "7"}],
    "bounded_counter": [{"op": "add", "n": 1}, {"op": "subtract", "n": 2**53 + 1}, {"op": "set", "n": 10**37}],
    "register": [{"op": "set", "value": None}, {"op": "set", "value": {"a": [1, 2.5, True, "é"]}}],
    "multi_register": [{"op": "set", "value": "mage"}],
    "max_register": [{"op": "set", "value": 10**30}, {"op": "set", "value": 4}],
    "min_register": [{"op": "set", "value": str(-(10**30))}],
    "flag": [{"op": "enable"}, {"op": "disable"}],
    "set": [{"op": "add", "elements": ["dora"]}, {"op": "remove", "elements": ["bert", "emil"]}],
    "map": [{"op": "set", "field": "volume", "value": 0.5}, {"op": "remove", "field": "volume"}],
    "inventory": [
        {"op": "add", "item": "sword", "n": 1},
        {"op": "subtract", "item": "sword", "n": 1},
        {"op": "set", "item": "arrow", "n": 2**63},
        {"op": "replace", "items": {"potion": 3, "gem": "9007199254740993"}},
    ],
}


def row(type_name: TypeName) -> Row[Any]:
    """A row of a type that shows all that a row can hold."""
    because = [
        Cause(11, "game-8", 39, NOW_MS - 9, NOW_MS - 2, EFFECTS[type_name], others=OTHERS, note="ticket 4711"),
        Cause(12, "game-8", 40, NOW_MS, NOW_MS, [], Status.REFUSED, "insufficient", Key("bert", "gold")),
    ]
    return Row(ROW_VERSION, type_name, 3, NOW_MS + 1, 1, VECTOR, STATES[type_name], MEMORY, because)


def update(type_name: TypeName) -> Update:
    """An update with every operation of a type, and all that an update can say."""
    ops = [Op("anna", type_name, **arguments) for arguments in OPS[type_name]]
    return Update(
        ops, "game-8", 41, NOW_MS, "eu-west-1:4,us-east-1:12", "us-east-1:12", "ticket 4711", [("anna", type_name, "")]
    )


def notice(type_name: TypeName) -> Notice:
    """A notice of a write of that row."""
    of = row(type_name)
    value = msgspec.Raw(value_json(of.state, SPECS[type_name]))
    version = format_vector(of.vector)
    return Notice("anna", type_name, "us-east-1", version, total(of.vector), NOW_MS + 1, value, because=of.because)


def vectors() -> dict[str, dict[str, Any]]:
    """File name -> name of a vector -> the vector."""
    rows, updates, notices = ({name: make(name) for name in STATES} for make in (row, update, notice))
    record = encode_record(NOW_MS, [encode_update(update) for update in updates.values()])
    return {
        "rows": {
            n: {"hex": encode_row(r).hex(), "says": text(r), "value": text(notices[n].after)} for n, r in rows.items()
        },
        "updates": {n: {"hex": encode_update(u).hex(), "says": text(u)} for n, u in updates.items()},
        "records": {"all": {"hex": record.hex()}},
        "notices": {"all": {"says": encode_notices(list(notices.values())).decode()}},
    }


def text(value: object) -> str:
    """What a value says, as JSON text."""
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    for name, contents in vectors().items():
        (HERE / f"{name}.json").write_text(json.dumps(contents, indent=1, ensure_ascii=False) + "\n")
