"""Findings, in the control table: an item each, in the order of their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import msgspec

from playerstate.backends.aws.control import FINDING, Control, Item, Name, Operator
from playerstate.core.findings import OPEN, Finding, first_id_at

_decode = msgspec.msgpack.Decoder(Finding).decode
_encode = msgspec.msgpack.Encoder().encode

_OPEN, _SETTLED = 1, 0


class DynamoFindings:
    """`Findings`. Those of a player are looked for among all of the time: there are few findings, or much is wrong.

    A `put` of more than go into a transaction (100) raises `OutcomeUnknown` where only some are kept.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    def put(self, findings: Sequence[Finding]) -> None:
        """Keep findings, all or none."""
        items = {finding.finding_id: _item(finding) for finding in findings}  # in one call the last one counts
        self._control.transact_in_parts([self._control.putting(item) for item in items.values()])

    def list(self, player_id: str | None = None, *, before: str | None = None, limit: int = 100) -> list[Finding]:
        """Findings, or those about a player: the latest first."""
        if before == "":  # which DynamoDB takes for no name
            return []
        sk: tuple[Operator, str] | None = None if before is None else ("<", before)
        where: dict[str, tuple[Operator, str]] | None = None if player_id is None else {"player_id": ("=", player_id)}
        size = limit if where is None else None
        found = self._control.query(FINDING, sk, where=where, backwards=True, page_size=size)
        return [_decode(item["finding"]) for item in islice(found, limit)]

    def count(self) -> int:
        """How many there are."""
        return self._control.count(FINDING)

    def erase(self, players: Mapping[str, int]) -> int:
        """Delete what was found about players before a time, each player's own."""
        gone = 0
        for player_id, before in players.items():
            where: dict[str, tuple[Operator, str]] = {"player_id": ("=", player_id)}
            gone += self._delete(self._ids(("<", first_id_at(before)), where))
        return gone

    def trim(self, before: int) -> int:
        """Delete findings from before a time."""
        return self._delete(self._ids(("<", first_id_at(before))))

    def bound(self, keep: int) -> int:
        """Delete what is more than so many: the first found, and open ones last."""
        too_many = self.count() - keep
        if too_many <= 0:
            return 0
        found = list(self._control.query(FINDING, attributes=("sk", "is_open")))
        found.sort(key=lambda item: item["is_open"])  # stable: those that are equal in this stay in their order
        return self._delete([item["sk"] for item in found[:too_many]])

    def _ids(self, sk: tuple[Operator, str], where: Mapping[str, tuple[Operator, str]] | None = None) -> Iterable[str]:
        return [item["sk"] for item in self._control.query(FINDING, sk, where=where, attributes=("sk",))]

    def _delete(self, ids: Iterable[str]) -> int:
        actions = [self._control.deleting(Name(FINDING, finding_id)) for finding_id in ids]
        self._control.transact_in_parts(actions)
        return len(actions)


def _item(finding: Finding) -> Item:
    return {
        "pk": FINDING,
        "sk": finding.finding_id,
        "player_id": finding.player_id,
        "is_open": _OPEN if finding.repair in OPEN else _SETTLED,
        "finding": _encode(finding),
    }
