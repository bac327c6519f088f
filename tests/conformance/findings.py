"""What every keeper of findings guarantees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from msgspec import structs

from builders import NOW_MS
from conformance.suite import Broken, BrokenInputError, Suite, run_together, walk
from playerstate.core.findings import CACHE, Finding, Kind, Repair, copies_in, finding_id
from playerstate.core.model import Key
from playerstate.ports.findings import Findings


def found(at: int = 0, *, player_id: str = "anna", state_key: str = "gold", place: str = CACHE) -> Finding:
    """A finding of a time, in ms after the beginning of the test's world."""
    key = Key(player_id, state_key)
    name = finding_id(NOW_MS + at, place, key)
    return Finding(name, "a", place, Kind.STALE, *key, "a:3", "a:2", NOW_MS + at - 10, NOW_MS + at)


class FindingsSuite(Suite, ABC):
    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[Findings]:
        """Open the findings that lie at a path, or make them."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "node"
        folder.mkdir()
        return folder / "findings"

    @pytest.fixture
    def findings(self, path: Path) -> Iterator[Findings]:
        with self.open(path) as findings:
            yield findings

    def test_none_at_first(self, findings: Findings) -> None:
        """There is nothing to count, list or delete; and nothing may be put."""
        findings.put([])
        assert (findings.count(), findings.list(), findings.list("anna"), findings.trim(NOW_MS)) == (0, [], [], 0)

    def test_kept_as_they_were_put(self, findings: Findings) -> None:
        """Every field comes back, whatever it says."""
        full = structs.replace(
            found(5, player_id="é🗡️ '\"%", state_key="#", place=copies_in("eu-west-1.2")),
            kind=Kind.OVERSPENT,
            expected="",
            found="\\xff\x00",
            detail="it by 1; the part did not answer",
            repair=Repair.REPAIRED,
            repaired_at=NOW_MS + 9,
        )
        findings.put([found(), full])
        assert findings.list() == [full, found()]

    def test_putting_again_replaces(self, findings: Findings) -> None:
        """What became of a finding is known later; in one call the last one counts."""
        findings.put([found(), found(1)])
        findings.put([structs.replace(found(), repair=Repair.FAILED), structs.replace(found(), repair=Repair.GONE)])
        assert findings.list() == [found(1), structs.replace(found(), repair=Repair.GONE)]
        assert findings.count() == 2

    def test_all_or_none(self, findings: Findings) -> None:
        """A call that fails half-way keeps none, and changes none."""
        findings.put([found()])
        with pytest.raises(BrokenInputError):
            findings.put(Broken(found(1), structs.replace(found(), repair=Repair.GONE)))
        assert findings.list() == [found()]

    def test_the_latest_come_first(self, findings: Findings) -> None:
        """In whatever order they were put; times of any length; of one time all."""
        times = [3, 0, 100_000_000_000, 7, 7, 9 - NOW_MS]
        names = [f"key {n}" for n in range(len(times))]
        put = [found(at, state_key=name) for at, name in zip(times, names, strict=True)]
        findings.put(put[:3])
        findings.put(put[3:])
        assert findings.list() == sorted(put, key=lambda one: one.finding_id, reverse=True)
        assert [one.found_at - NOW_MS for one in findings.list()] == [100_000_000_000, 7, 7, 3, 0, 9 - NOW_MS]
        assert len(findings.list(limit=2)) == 2

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    @pytest.mark.parametrize("player_id", [None, "anna"])
    def test_paging_misses_and_repeats_nothing(self, findings: Findings, limit: int, player_id: str | None) -> None:
        """Going on before the last id seen lists every finding once, or every one of a player."""
        put = [found(n // 2, player_id="anna" if n % 3 else "bob", state_key=f"key {n}") for n in range(9)]
        findings.put(put)
        seen = walk(lambda last: findings.list(player_id, before=last.finding_id if last else None, limit=limit), limit)
        of_player = [one for one in put if player_id in (None, one.player_id)]
        assert seen == sorted(of_player, key=lambda one: one.finding_id, reverse=True)

    def test_before_need_be_no_finding(self, findings: Findings) -> None:
        """It may have been deleted meanwhile, or never have been; before nothing there is nothing."""
        findings.put([found(1), found(2), found(3)])
        assert findings.list(before=found(2, state_key="another").finding_id)[-1] == found(1)
        assert findings.list(before="0") == findings.list(before="") == []
        assert len(findings.list(before="9")) == 3

    def test_a_players_findings(self, findings: Findings) -> None:
        """Those about exactly this player, also if another one's id begins alike."""
        findings.put([found(n, player_id=name) for n, name in enumerate(["anna", "ann", "Anna", "anna "])])
        assert findings.list("anna") == [found(0)]
        assert findings.list("an") == []

    def test_trimmed_by_time(self, findings: Findings) -> None:
        """Those from before the time go, those of just that time stay; how many went is said."""
        findings.put([found(n) for n in range(5)])
        assert findings.trim(NOW_MS + 2) == 2
        assert findings.list() == [found(4), found(3), found(2)]
        assert [findings.trim(NOW_MS + 2), findings.trim(-1), findings.trim(0)] == [0, 0, 0]
        assert findings.trim(2 * NOW_MS) == 3
        assert (findings.count(), findings.list("anna")) == (0, [])

    def test_erased_by_player_and_time(self, findings: Findings) -> None:
        """What was found about exactly these players before each one's time; how many went is said."""
        kept = [found(1, player_id="ann"), found(2), found(3), found(4, player_id="bob")]
        gone = [found(0), found(1, state_key="rank"), found(3, player_id="bob", place=copies_in("us"))]
        findings.put([*kept, *gone])
        erased = {"anna": NOW_MS + 2, "bob": NOW_MS + 4, "nobody": NOW_MS + 9}
        assert [findings.erase(erased), findings.erase(erased), findings.erase({})] == [3, 0, 0]
        assert sorted(findings.list(), key=str) == sorted(kept, key=str)

    def test_bounded_by_number(self, findings: Findings) -> None:
        """The first found go first, but those that are open only when there are no others; how many went is said."""
        settled = [structs.replace(found(n), repair=Repair.REPAIRED) for n in (1, 3, 5, 7)]
        still_open = [structs.replace(found(n), repair=Repair(kind)) for n, kind in ((0, "left"), (4, "failed"))]
        findings.put([*settled, *still_open])
        assert [findings.bound(9), findings.bound(6), findings.bound(4), findings.bound(4)] == [0, 0, 2, 0]
        assert findings.list() == [settled[3], settled[2], still_open[1], still_open[0]]
        assert findings.bound(1) == 3
        assert findings.list() == [still_open[1]]
        assert [findings.bound(0), findings.bound(0)] == [1, 0]

    def test_put_from_many_threads(self, findings: Findings) -> None:
        """Whoever puts the same ones at the same time, each is kept once."""
        put = [found(n) for n in range(20)]

        def put_all() -> None:
            for one in put:
                findings.put([one])
                findings.list(limit=3)

        run_together(put_all, put_all, put_all)
        assert findings.list() == put[::-1]

    @pytest.mark.usefixtures("durable")
    def test_outlive_a_crash(self, path: Path) -> None:
        """What was put, replaced and trimmed is so in the files, however the process ended."""
        with self.open(path) as findings:
            findings.put([found(1), found(2), found(3)])
            findings.put([structs.replace(found(2), repair=Repair.REPAIRED)])
            findings.put([found(4, player_id="bob")])
            findings.erase({"bob": NOW_MS + 5})
            findings.trim(NOW_MS + 2)
            copy = self.crashed(path)
        for where in (copy, path):
            with self.open(where) as findings:
                assert findings.list() == [found(3), structs.replace(found(2), repair=Repair.REPAIRED)]
