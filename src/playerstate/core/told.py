"""What the audit's queue carries: notices, as every group's does, and deliveries that did nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from playerstate.core.model import Delivery, Notice
from playerstate.core.wire import decode_notices, decode_or_refuse, encode_notices

Told: TypeAlias = Notice | Delivery


class _Deliveries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object, where a batch of notices is a list: consumers tell the two apart by it."""

    deliveries: list[Delivery]


_deliveries_decoder = msgspec.json.Decoder(_Deliveries)


def encode_told(told: Sequence[Told]) -> bytes:
    """A message of notices, or of deliveries; never of both."""
    notices = [one for one in told if isinstance(one, Notice)]
    return encode_notices(notices) if notices else encode_deliveries([d for d in told if isinstance(d, Delivery)])


def encode_deliveries(deliveries: list[Delivery]) -> bytes:
    """A message of deliveries."""
    return msgspec.json.encode(_Deliveries(deliveries))


def decode_told(body: bytes) -> Sequence[Told]:
    """What a message says. Raises `InvalidUpdate` for what neither made."""
    if not body.lstrip().startswith(b"{"):
        return decode_notices(body)
    message: _Deliveries = decode_or_refuse(_deliveries_decoder, body, "message")
    return message.deliveries
