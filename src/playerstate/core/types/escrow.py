"""Escrow: how a bounded number is spent in several regions at once without asking each other.

After Balegas et al. 2015, "Extending eventually consistent cloud databases for enforcing numeric invariants". What lies
above the minimum is split into *rights*; a region spends only rights that it holds, so no schedule of messages can
overspend. Each region keeps one account, which it alone writes:

    net      what it added less what it took away
    given    region -> rights it has ever given to that region
    wanted   how much it wants to have received in all; holders give what is wanted and not yet received
    taken    region that is gone -> rights it has taken over from that region

Rights of region i = net_i - everything it gave + everything given to it + everything it took over - everything taken
over from it (+ the starting rights, at the key's home). The sum of all rights is the value above the minimum, because
what is given or taken over leaves one account and enters another.

Nobody asks the region that is gone. If it had spent or given away what its heir does not know of, its rights come out
below zero once that is known, and by so much the value may fall below the minimum. Two regions that both take over from
a third, before they hear of each other, would take the same rights twice: a region that is gone has one heir.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeAlias

from playerstate.core.model import Reason
from playerstate.core.types.contract import Refused

Packed: TypeAlias = Any
"""An account as a row holds it: `net` if that is all, else `[net, given, wanted]`, and `taken` if there is any."""

_PLAIN = 3
"""The length of an account that has taken nothing over."""


class RightsElsewhere(Exception):
    """Other regions hold what this one lacks. It should come to have received `wanted` in all."""

    def __init__(self, wanted: int) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class Account(NamedTuple):
    """One region's account."""

    net: int = 0
    given: Mapping[str, int] = {}
    wanted: int = 0
    taken: Mapping[str, int] = {}


def unpack(packed: Packed) -> Account:
    """The account that `pack` packed; `None` is an empty one."""
    if packed is None:
        return Account()
    if isinstance(packed, int):
        return Account(packed)
    return Account(*packed)


def pack(account: Account) -> Packed:
    """The smallest form of an account; `None` when it is empty and may be dropped."""
    if account.taken:
        return [account.net, dict(account.given), account.wanted, dict(account.taken)]
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
            held += account.net - sum(account.given.values()) + sum(account.taken.values())
        held += account.given.get(region, 0) - account.taken.get(region, 0)
    return held


def change(accounts: Mapping[str, Packed], region: str, delta: int, starting: Mapping[str, int]) -> Packed:
    """The region's account after adding `delta`.

    Raises `Refused` as `insufficient` if all regions together do not hold enough, `RightsElsewhere` if they
    do and this one does not.
    """
    packed = accounts.get(region, 0)
    if isinstance(packed, int) and (delta >= 0 or _covered(accounts, starting.get(region, 0) + packed + delta)):
        return packed + delta or None
    own = unpack(packed)
    if delta < 0:
        if net_total(accounts) + sum(starting.values()) + delta < 0:
            raise Refused(Reason.INSUFFICIENT)
        held = rights(accounts, region, starting)
        if held + delta < 0:
            raise RightsElsewhere(_received(accounts, region) - delta - held)
    return pack(own._replace(net=own.net + delta))


def want(accounts: Mapping[str, Packed], region: str, wanted: int, starting: Mapping[str, int]) -> Packed:
    """The region's account when it asks for `wanted`; asking twice for the same wants it once.

    An earlier wish that all together can no longer meet is given up for it.
    """
    account = unpack(accounts.get(region))
    earlier = account.wanted if _can_be_met(accounts, region, starting) else 0
    return pack(account._replace(wanted=max(earlier, wanted)))


def shortages(accounts: Mapping[str, Packed], retired: Collection[str] = ()) -> dict[str, int]:
    """How much each region wants and has not received, by region; only those that want something and are not gone."""
    short: dict[str, int] = {}
    for region in sorted(accounts):
        lacking = _lacking(accounts, region)
        if lacking > 0 and region not in retired:
            short[region] = lacking
    return short


def give_all(
    accounts: Mapping[str, Packed], giver: str, starting: Mapping[str, int], retired: Collection[str] = ()
) -> tuple[Packed, dict[str, int]]:
    """The giver's account after giving what others are short of, as far as it can; and what it gave to whom.

    Where one is short of more than all together have, only those give what there is who never wanted any themselves:
    else two that both want too much would give it to and fro, each to the other, for as long as they want more.
    """
    after = dict(accounts)
    gifts: dict[str, int] = {}
    keeps = unpack(accounts.get(giver)).wanted > 0
    for taker, short in shortages(accounts, retired).items():
        if taker == giver or (keeps and not _can_be_met(accounts, taker, starting)):
            continue
        gift = min(short, rights(after, giver, starting))
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


def take_over(accounts: Mapping[str, Packed], heir: str, gone: str, starting: Mapping[str, int]) -> tuple[Packed, int]:
    """The heir's account after taking over all that a region holds which is gone; and how much that is."""
    account = unpack(accounts.get(heir))
    held = rights(accounts, gone, starting)
    if held <= 0 or heir == gone:
        return pack(account), 0
    taken = {**account.taken, gone: account.taken.get(gone, 0) + held}
    return pack(account._replace(taken=taken)), held


def _covered(accounts: Mapping[str, Packed], left: int) -> bool:
    """Whether a region that would have so much left of its own, beside what it was given, need not ask further.

    Not once somebody has taken over rights: it may be from this region, or all together may be less than one holds.
    """
    return left >= 0 and all(isinstance(packed, int) or len(packed) == _PLAIN for packed in accounts.values())


def _lacking(accounts: Mapping[str, Packed], region: str) -> int:
    """How much a region wants beyond what it has received; zero or less if it wants nothing more."""
    return unpack(accounts.get(region)).wanted - _received(accounts, region)


def _can_be_met(accounts: Mapping[str, Packed], region: str, starting: Mapping[str, int]) -> bool:
    """Whether all together have what a region would hold if it were given what it wants."""
    there = net_total(accounts) + sum(starting.values())
    return rights(accounts, region, starting) + _lacking(accounts, region) <= there


def _received(accounts: Mapping[str, Packed], region: str) -> int:
    """How much a region has come by from others."""
    given = sum([unpack(packed).given.get(region, 0) for packed in accounts.values()])
    return given + sum(unpack(accounts.get(region)).taken.values())
