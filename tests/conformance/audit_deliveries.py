"""What every audit log guarantees of deliveries that did nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from builders import KEY, NOW_MS, REGION, transition
from conformance.suite import Broken, BrokenInputError, Suite, crashed_copy, walk
from playerstate.core.model import Delivery, Key, Outcome, Status
from playerstate.ports.audit import DELIVERIES_PER_UPDATE_MAX, Audit

REPEAT = Outcome(Status.APPLIED, duplicate=True)


def delivery(position: int = 1, *, sequence: int = 1, judged_at: int = NOW_MS, **said: Any) -> Delivery:
    """An update of game-1 that came again at a position of the stream."""
    about = {"player_id": "anna", "state_key": "gold", "region": REGION, "producer": "game-1", **said}
    times = {"judged_at": judged_at, "sent_at": NOW_MS - 9, "accepted_at": NOW_MS - 5}
    return Delivery(position=position, index=0, sequence=sequence, outcome=REPEAT, **times, **about)


class AuditDeliveriesSuite(Suite, ABC):
    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[Audit]:
        """Open the audit log that lies at a path, or make it."""

    def test_noted_again_they_are_there_once(self, audit: Audit) -> None:
        """By key, region, update and place: each that differs in one of these is another."""
        others = [
            delivery(2),
            delivery(sequence=2),
            delivery(region="us"),
            delivery(producer="game-2"),
            delivery(state_key="gems"),
            delivery(player_id="bob"),
        ]
        for _ in range(2):
            audit.note([delivery(), delivery(), *others])
        found = audit.deliveries("anna") + audit.deliveries("bob")
        assert sorted(found, key=repr) == sorted([delivery(), *others], key=repr)
        assert (audit.count(), audit.history("anna")) == (0, [])

    def test_every_field_of_one_is_kept(self, audit: Audit) -> None:
        """Its outcome with its reason, its times, its epoch."""
        refused = Outcome(Status.REFUSED, "insufficient", duplicate=True)
        full = Delivery("o'brien 玩家", "g%", "eu", 7, 3, NOW_MS, "p", 2**53, 1, 2, refused, 4)
        audit.note([full])
        assert audit.deliveries("o'brien 玩家") == [full]

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_paging_deliveries(self, audit: Audit, limit: int) -> None:
        """Going on before the time of the last one yields every one once; `since` ends it, itself included."""
        noted = [delivery(n, sequence=n, judged_at=NOW_MS + n) for n in range(1, 8)]
        audit.note(noted)

        def page_after(last: Delivery | None) -> list[Delivery]:
            before = last.judged_at if last else None
            return audit.deliveries("anna", "gold", since=NOW_MS + 3, before=before, limit=limit)

        assert walk(page_after, limit) == noted[:1:-1]
        assert audit.deliveries("anna", "gems") == []

    def test_a_page_has_all_of_a_millisecond(self, audit: Audit) -> None:
        """Else the next one, which begins before it, would leave some out."""
        noted = [delivery(n, sequence=n) for n in range(1, 5)]
        audit.note(noted)
        assert audit.deliveries("anna", limit=2) == noted[::-1]

    def test_so_many_of_an_update_are_kept(self, audit: Audit) -> None:
        """The first that were told of, of each update, wherever they came."""
        for n in range(1, 2 * DELIVERIES_PER_UPDATE_MAX):
            audit.note([delivery(n, region=f"r{n % 3}", judged_at=NOW_MS + n)])
        audit.note([delivery(99, sequence=2)])
        assert len(audit.deliveries("anna")) == DELIVERIES_PER_UPDATE_MAX + 1
        assert {one.position for one in audit.deliveries("anna")} == {*range(1, DELIVERIES_PER_UPDATE_MAX + 1), 99}

    def test_noting_is_all_or_none(self, audit: Audit) -> None:
        """A call that fails half-way notes nothing."""
        with pytest.raises(BrokenInputError):
            audit.note(Broken(delivery(1), delivery(2)))
        assert audit.deliveries("anna") == []

    @pytest.mark.usefixtures("trims")
    def test_trimmed_with_the_transitions(self, audit: Audit) -> None:
        """What was judged before the time goes; the number that is told is that of transitions."""
        audit.note([delivery(1, judged_at=NOW_MS - 1), delivery(2)])
        audit.append([transition(1, written_at=NOW_MS - 1)])
        assert audit.trim(NOW_MS, limit=10).deleted == 1
        assert audit.deliveries("anna") == [delivery(2)]

    @pytest.mark.parametrize("seed", range(4))
    def test_erased_deliveries_do_not_come_back(self, audit: Audit, seed: int) -> None:
        """In whatever order deliveries and erasures are told; of other keys nothing goes."""
        noted = [delivery(n, sequence=n, epoch=n // 3, player_id=p) for p in ("anna", "bob") for n in range(1, 9)]
        tasks = [partial(audit.note, [one]) for one in noted * 2] + [partial(audit.erase, {KEY: e}) for e in (1, 2, 1)]
        Random(seed).shuffle(tasks)
        for task in tasks:
            task()
        assert {one.sequence for one in audit.deliveries("anna")} == {6, 7, 8}
        assert audit.erase({Key("bob", "gold"): 1}) == 0
        assert {one.sequence for one in audit.deliveries("bob")} == {3, 4, 5, 6, 7, 8}

    @pytest.mark.usefixtures("durable")
    def test_deliveries_outlive_a_crash(self, path: Path) -> None:
        """What was noted is in the files, whether or not the process could close them."""
        with self.open(path) as audit:
            audit.note([delivery()])
            copy = crashed_copy(path)
        for where in (copy, path):
            with self.open(where) as audit:
                assert audit.deliveries("anna") == [delivery()]
