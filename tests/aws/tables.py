"""Tables as a deployment has them, on the emulator."""

from __future__ import annotations

from functools import cache

from ministack import MiniStack
from playerstate.backends.aws.clients import Clients

_ON_DEMAND = "PAY_PER_REQUEST"


@cache
def clients_of(ministack: MiniStack) -> Clients:
    """Clients that tests share, for it takes a moment to build them."""
    return ministack.clients()


def make_rows_table(ministack: MiniStack) -> str:
    """A table of rows, with a stream of new and old images; its name."""
    return _make(
        ministack,
        "rows",
        ("player_id", "state_key"),
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def make_control_table(ministack: MiniStack) -> str:
    """A table of everything else that is small, in which items may expire; its name."""
    name = _make(ministack, "control", ("pk", "sk"))
    clients_of(ministack).write(
        "dynamodb",
        "update_time_to_live",
        TableName=name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"},
    )
    return name


def _make(ministack: MiniStack, prefix: str, keys: tuple[str, str], **more: object) -> str:
    name = ministack.name(prefix)
    clients_of(ministack).write(
        "dynamodb",
        "create_table",
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)],
        BillingMode=_ON_DEMAND,
        **more,
    )
    return name
