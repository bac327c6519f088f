"""Escrow: how a bounded number is spent in several regions at once without asking each other.

After Balegas et al. 2015, "Extending eventually consistent cloud databases for enforcing numeric invariants". What lies
above the minimum is split into *rights*; a region spends only rights that it holds, so no schedule of messages can
overspend. Each region keeps one account, which it alone writes:

    net      what it added less what it took away
    given    region -> rights it has ever given to that region
    wanted   how much it wants to have been given in all; holders give what is wanted and not yet given

Rights of region i = net_i - everything it gave + everything given to it (+ the starting rights, at the key's home).
The sum of all rights is the value above the minimum, because what is given leaves one account and enters another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from playerstate.core.model import Reason
from playerstate.core.types.contract import Refused

Packed: TypeAlias = Any
"""An account as a row holds it: `net` while nothing was given or wanted, else `[net, given, wanted]`."""


class RightsElsewhere(Exception):
    """Other regions hold what this one lacks. It should come to have been given `wanted` in all."""

    def __init__(self, wanted: int) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class Account(NamedTuple):
    """One region's account."""

    net: int = 0
    given: Mapping[str, int] = {}
    wanted: int = 0


def unpack(packed: Packed) -> Account:
    """The account that `pack` packed; `None` is an empty one."""
    if packed is None:
        return Account()
    if isinstance(packed, int):
        return Account(packed)
    net, given, wanted = packed
    return Account(net, given, wanted)


def pack(account: Account) -> Packed:
    """The smallest form of an account; `None` when it is empty and may be dropped."""
    if account.given or account.wanted:
        return [account.net, dict(account.given), account.wanted]
    return account.net or None


def net_total(accounts: Mapping[str, Packed]) -> int:
    """What all regions together have added, less what they took away."""
    return sum(packed if isinstance(packed, int) else packed[0] for packed in accounts.values())


def rights(accounts: Mapping[str, Packed], region: str, starting: Mapping[str, int]) -> int:
    """How much `region` may take away; `starting` is what a region held before anybody wrote."""
    held = starting.get(region, 0)
    for owner, packed in accounts.items():
        account = unpack(packed)
        if owner == region:
            held += account.net - sum(account.given.values())
        held += account.given.get(region, 0)
    return held


def change(accounts: Mapping[str, Packed], region: str, delta: int, starting: Mapping[str, int]) -> Packed:
    """The region's account after adding `delta`.

    Raises `Refused` as `insufficient` if all regions together do not hold enough, `RightsElsewhere` if they
    do and this one does not.
    """
    packed = accounts.get(region, 0)
    if isinstance(packed, int) and (delta >= 0 or starting.get(region, 0) + packed + delta >= 0):
        return packed + delta or None  # its own rights are enough, and it has given none away
    own = unpack(packed)
    if delta < 0:
        held = rights(accounts, region, starting)
        if held + delta < 0:
            if net_total(accounts) + sum(starting.values()) + delta < 0:
                raise Refused(Reason.INSUFFICIENT)
            received = sum(unpack(account).given.get(region, 0) for account in accounts.values())
            raise RightsElsewhere(received - delta - held)
    return pack(own._replace(net=own.net + delta))


def want(packed: Packed, wanted: int) -> Packed:
    """The account that asks for `wanted`; asking twice for the same wants it once."""
    account = unpack(packed)
    return pack(account._replace(wanted=max(account.wanted, wanted)))


def shortages(accounts: Mapping[str, Packed]) -> dict[str, int]:
    """How much each region wants and has not been given, by region; only those that want something."""
    unpacked = {region: unpack(packed) for region, packed in accounts.items()}
    short: dict[str, int] = {}
    for region in sorted(unpacked):
        received = sum(account.given.get(region, 0) for account in unpacked.values())
        if unpacked[region].wanted > received:
            short[region] = unpacked[region].wanted - received
    return short


def give_all(accounts: Mapping[str, Packed], giver: str, starting: Mapping[str, int]) -> tuple[Packed, dict[str, int]]:
    """The giver's account after giving what others are short of, as far as it can; and what it gave to whom."""
    after = dict(accounts)
    gifts: dict[str, int] = {}
    for taker, short in shortages(accounts).items():
        gift = min(short, rights(after, giver, starting)) if taker != giver else 0
        if gift > 0:
            after[giver] = give(after, giver, taker, gift, starting)
            gifts[taker] = gift
    return after.get(giver), gifts


def give(accounts: Mapping[str, Packed], giver: str, taker: str, n: int, starting: Mapping[str, int]) -> Packed:
    """The giver's account after giving `taker` up to `n` of the rights that it holds."""
    account = unpack(accounts.get(giver))
    gift = min(n, rights(accounts, giver, starting))
    if gift <= 0:
        return pack(account)
    given = {**account.given, taker: account.given.get(taker, 0) + gift}
    return pack(account._replace(given=given))
