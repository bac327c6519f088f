"""What every audit log guarantees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from builders import KEY, NOW_MS, cause, transition
from conformance.suite import Broken, BrokenInputError, Suite, crashed_copy, run_together, walk
from playerstate.core.model import Cause, Effect, Key, Side, Status, Transition
from playerstate.ports.audit import Audit


class AuditSuite(Suite, ABC):
    keeps_by_age = ""
    """Why the backend cannot be told what to let go of, if that is so: a declared gap."""

    @pytest.fixture
    def trims(self) -> None:
        """Asked for by the tests of letting go of what was recorded."""
        if self.keeps_by_age:
            pytest.xfail(self.keeps_by_age)

    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[Audit]:
        """Open the audit log that lies at a path, or make it."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "node"
        folder.mkdir()
        return folder / "audit"

    @pytest.fixture
    def audit(self, path: Path) -> Iterator[Audit]:
        with self.open(path) as audit:
            yield audit

    def test_empty_at_first(self, audit: Audit) -> None:
        """A new log has no history."""
        assert (audit.count(), audit.history("anna")) == (0, [])

    @pytest.mark.usefixtures("trims")
    def test_nothing_to_trim_at_first(self, audit: Audit) -> None:
        """Nor anything to let go of."""
        assert audit.trim(NOW_MS, limit=9) == (0, None, None)

    def test_recording_again_keeps_one(self, audit: Audit) -> None:
        """The same transition recorded again, in the same call or a later one, is one transition."""
        one, other = transition(1), transition(2, written_at=NOW_MS + 1)
        audit.append([one, one])
        audit.append([other, one])
        audit.append([])
        assert (audit.count(), audit.history("anna")) == (2, [other, one])

    def test_identity(self, audit: Audit) -> None:
        """Transitions that differ in player, key, region or version are all kept."""
        different = [
            transition(1),
            transition(2),
            transition(1, region="us-east-1"),
            transition(1, state_key="gold2"),
            transition(1, player_id="Anna"),
        ]
        audit.append(different)
        assert audit.count() == len(different)
        kept = audit.history("anna") + audit.history("Anna")
        assert sorted(kept, key=repr) == sorted(different, key=repr)

    def test_every_field_is_kept(self, audit: Audit) -> None:
        """A transition comes back as it was: exact JSON, amounts of any size, refusals, and all that is optional."""
        causes = [
            Cause(4, "game-1", 9, NOW_MS - 5, NOW_MS - 3, [Effect("add", delta=10**37), Effect("add", delta=-(2**64))]),
            Cause(5, "@accept-1", 2**53, NOW_MS, NOW_MS, [Effect("replace", deltas={"swörd": 2**63, "bow": -1})]),
            Cause(6, "it's", 1, 0, 1, [], Status.REFUSED, "insufficient", ("bob", "inventory")),
            Cause(7, "game-1", 10, 1, 2, [Effect("add", elements=["x", "y"]), Effect("set", field="f", item="i")]),
            Cause(8, "undo:1f", 1, 1, 2, [Effect("add", elements=["x"], idle=["x"])], others=[KEY], note="Tür 4711"),
        ]
        full = transition(4, player_id="o'brien 玩家", state_key="gold coins", causes=causes, epoch=3)
        audit.append([full])
        assert audit.history("o'brien 玩家") == [full]

    def test_joins_are_told_apart_by_their_versions(self, audit: Audit) -> None:
        """They take no step, so their steps do not tell; what each side had comes back as it was."""
        sides = [Side("eu-west-1", "eu-west-1:1", '{"swörd":1}'), Side("us-east-1", "us-east-1:2", "")]
        joins = [
            structs.replace(
                transition(1), first=0, last=0, causes=[], sides=sides, version=f"eu-west-1:{n},us-east-1:2"
            )
            for n in (1, 2)
        ]
        audit.append(joins)
        audit.append(joins)
        assert sorted(audit.history("anna"), key=lambda join: join.version) == joins

    @pytest.mark.parametrize(
        "json",
        [
            b"null",
            b"[]",
            b"{}",
            b'{"b":1,"a":[ ]}',
            b'{ "spaced" : 1.0 }',
            b"1e2",
            b"12345678901234567890123",
            b'"123456789012345678901234567890"',
            '"naïve \U0001f600 \\u00e9 \\" \\\\"'.encode(),
        ],
    )
    def test_values_are_kept_byte_by_byte(self, audit: Audit, json: bytes) -> None:
        """Values pass through as the JSON text they are: no number is rounded, nothing is reordered."""
        audit.append([transition(before=json, after=json + b" ")])
        (kept,) = audit.history("anna")
        assert (bytes(kept.before), bytes(kept.after)) == (json, json + b" ")

    def test_latest_first(self, audit: Audit) -> None:
        """A player's history runs from the latest to the earliest, in whatever order it was recorded."""
        written = [
            transition(n, state_key=state_key, written_at=NOW_MS + 10 * n + later)
            for n in range(1, 6)
            for later, state_key in enumerate(["gold", "rank"])
        ]
        for one in shuffled(written):
            audit.append([one])
        assert audit.history("anna") == written[::-1]

    def test_latest_first_within_a_millisecond(self, audit: Audit) -> None:
        """Transitions of one key that were written at the same time stand in the order of their steps."""
        written = [transition(n) for n in range(1, 12)]
        audit.append(shuffled(written))
        assert audit.history("anna") == written[::-1]

    def test_one_keys_history(self, audit: Audit) -> None:
        """A key's history holds that key's transitions only, a player's that player's."""
        names = ["gold", "gold2", "Gold", "g%", "gold coins"]
        audit.append([transition(state_key=name) for name in names])
        audit.append([transition(player_id=other) for other in ("ann", "anna2", "ANNA", "a%")])
        for name in names:
            assert audit.history("anna", name) == [transition(state_key=name)]
        assert len(audit.history("anna")) == len(names)
        assert audit.history("anna", "go") == []
        assert audit.history("anna", "") == []

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    @pytest.mark.parametrize("state_key", [None, "gold"])
    def test_paging(self, audit: Audit, limit: int, state_key: str | None) -> None:
        """Going on before the time of the last one seen yields every transition once, in pages of at most the limit."""
        written = [transition(n, written_at=NOW_MS + n) for n in range(1, 8)]
        audit.append([*written, transition(player_id="bob", written_at=NOW_MS)])

        def page_after(last: Transition | None) -> list[Transition]:
            before = last.written_at if last else None
            return audit.history("anna", state_key, before=before, limit=limit)

        assert walk(page_after, limit) == written[::-1]

    def test_before_is_exclusive(self, audit: Audit) -> None:
        """What was written at the time `before` is not before it."""
        audit.append([transition(1, written_at=NOW_MS), transition(2, written_at=NOW_MS + 1)])
        assert audit.history("anna", before=NOW_MS) == []
        assert audit.history("anna", before=NOW_MS + 1) == [transition(1)]

    def test_since_is_inclusive(self, audit: Audit) -> None:
        """What was written at the time `since` is told, what was written before it is not, in pages too."""
        written = [transition(n, written_at=NOW_MS + n) for n in range(4)]
        audit.append(written)
        assert audit.history("anna", since=NOW_MS + 1) == written[:0:-1]
        assert audit.history("anna", since=NOW_MS + 1, before=NOW_MS + 3, limit=2) == written[2:0:-1]
        assert audit.history("anna", since=NOW_MS + 1, before=NOW_MS + 1) == []

    def test_all_or_none(self, audit: Audit) -> None:
        """A call that fails half-way records none of its transitions."""
        audit.append([transition(1)])
        with pytest.raises(BrokenInputError):
            audit.append(Broken(transition(2), transition(3, player_id="bob")))
        assert (audit.count(), audit.history("anna"), audit.history("bob")) == (1, [transition(1)], [])

    @pytest.mark.usefixtures("trims")
    def test_trim(self, audit: Audit) -> None:
        """Trimming deletes what was written before the time, of all players, says how many, and keeps the rest."""
        old = [transition(1, player_id=player, written_at=NOW_MS - 1) for player in ("anna", "bob")]
        new = [transition(2, player_id=player, written_at=NOW_MS) for player in ("anna", "bob")]
        audit.append(old + new)
        assert audit.trim(NOW_MS, limit=9) == (2, None, NOW_MS)
        assert audit.trim(NOW_MS, limit=9) == (0, None, NOW_MS)
        assert audit.count() == 2
        assert audit.history("anna") + audit.history("bob") == new

    @pytest.mark.usefixtures("trims")
    def test_trimming_some_at_a_time(self, audit: Audit) -> None:
        """In the order of recording, no more than were asked for, from where the last look ended."""
        times = [3, 1, 9, 2, 9, 1]
        written = [transition(n, written_at=NOW_MS + time) for n, time in enumerate(times, start=1)]
        for one in written:
            audit.append([one])
        first = audit.trim(NOW_MS + 3, limit=2)
        assert (first.deleted, first.kept_from) == (1, NOW_MS + 3)
        assert first.looked_to is not None
        second = audit.trim(NOW_MS + 3, after=first.looked_to, limit=2)
        assert (second.deleted, second.kept_from) == (1, NOW_MS + 9)
        assert second.looked_to is not None
        third = audit.trim(NOW_MS + 3, after=second.looked_to, limit=3)
        assert third == (1, None, NOW_MS + 9)
        assert sorted(one.first for one in audit.history("anna")) == [1, 3, 5]

    @pytest.mark.usefixtures("trims")
    def test_trimming_the_first(self, audit: Audit) -> None:
        """By the order of recording, whatever the times say; those that are there."""
        written = [transition(n, written_at=NOW_MS - n) for n in range(1, 6)]
        for one in written:
            audit.append([one])
        assert audit.trim_first(2) == 2
        assert audit.history("anna") == written[2:]
        assert audit.trim_first(9) == 3
        assert (audit.trim_first(9), audit.count()) == (0, 0)

    @pytest.mark.usefixtures("trims")
    def test_it_is_known_since_when_the_history_is_whole(self, audit: Audit) -> None:
        """Promise 9: what trimming has taken, and nothing else, makes the history begin later; never earlier again."""
        audit.append([transition(n, written_at=NOW_MS + n) for n in range(1, 6)])
        assert audit.complete_since() == 0
        audit.trim(NOW_MS + 1, limit=9)
        audit.erase({KEY: 0})
        assert audit.complete_since() == 0
        audit.trim(NOW_MS + 3, limit=9)
        assert audit.complete_since() == NOW_MS + 3
        audit.append([transition(9, written_at=NOW_MS)])
        audit.trim(NOW_MS + 1, limit=9)
        assert audit.complete_since() == NOW_MS + 3
        audit.trim_first(1)
        assert audit.complete_since() == NOW_MS + 4
        assert [one.written_at for one in audit.history("anna")] == [NOW_MS + 5, NOW_MS + 4]

    @pytest.mark.usefixtures("trims")
    def test_size(self, audit: Audit) -> None:
        """It grows with what is recorded, and falls with what is trimmed, or else a bound would empty the log."""
        empty = audit.bytes()
        written = [transition(n, before=b'"%s"' % (b"x" * 2_000), written_at=NOW_MS + n) for n in range(1, 401)]
        audit.append(written)
        full = audit.bytes()
        assert full - empty > 400 * 2_000
        audit.trim_first(300)
        assert audit.bytes() - empty < (full - empty) / 2
        assert audit.count() == 100

    @pytest.mark.usefixtures("trims")
    def test_epochs_outlive_trimming(self, audit: Audit) -> None:
        """What was erased does not come back when nothing is left of the time of its erasure."""
        audit.append([transition(1)])
        audit.erase({KEY: 1})
        audit.append([transition(2, epoch=1)])
        assert audit.trim(NOW_MS + 1, limit=9).deleted == 1
        audit.append([transition(1)])
        assert audit.count() == 0

    def test_erasing_deletes_what_is_of_lower_epochs(self, audit: Audit) -> None:
        """Of the keys that are named, and of no others; it says how many."""
        before = [transition(n) for n in range(1, 4)]
        others = [transition(player_id="bob"), transition(state_key="gold2"), transition(4, epoch=1)]
        audit.append([*before, *others])
        assert audit.erase({KEY: 1, Key("nobody", "gold"): 4}) == 3
        assert audit.history("anna") + audit.history("bob") == [others[2], others[1], others[0]]

    def test_erasing_again_or_less_changes_nothing(self, audit: Audit) -> None:
        """Notices of an erasure come again, and late ones of earlier erasures come behind later ones."""
        kept = [transition(3, epoch=2)]
        audit.append(kept)
        for epochs in ({KEY: 2}, {KEY: 2}, {KEY: 1}, {}):
            assert audit.erase(epochs) == 0
        audit.append([transition(2, epoch=1)])
        assert audit.history("anna") == kept

    @pytest.mark.parametrize("seed", range(5))
    def test_what_was_erased_does_not_come_back(self, audit: Audit, seed: int) -> None:
        """In whatever order, how often, and in which batches transitions and erasures are told."""
        random = Random(seed)
        written = [
            transition(n, player_id=player, region=region, epoch=n // 3, written_at=NOW_MS + n)
            for player in ("anna", "bob")
            for region in ("eu", "us")
            for n in range(1, 9)
        ]
        anna, bob = Key("anna", "gold"), Key("bob", "gold")
        tasks = [partial(audit.append, random.choices(written, k=random.randint(1, 6))) for _ in range(20)]
        tasks += [partial(audit.append, [one]) for one in written]
        tasks += [partial(audit.erase, epochs) for epochs in ({anna: 1}, {anna: 2, bob: 1}, {anna: 1}, {bob: 1})]
        random.shuffle(tasks)
        for task in tasks:
            task()
        found = [one for player in ("anna", "bob") for one in audit.history(player)]
        expected = [one for one in written if one.epoch >= {"anna": 2, "bob": 1}[one.player_id]]
        assert sorted(found, key=repr) == sorted(expected, key=repr)
        assert audit.count() == len(expected)

    def test_erasing_is_all_or_none(self, audit: Audit) -> None:
        """A call that fails half-way deletes nothing, and nothing is kept out for it."""
        audit.append([transition(1)])
        with pytest.raises(BrokenInputError):
            audit.erase(BrokenEpochs())
        audit.append([transition(2)])
        assert audit.count() == 2

    def test_recorded_from_many_threads(self, audit: Audit) -> None:
        """Consumers that record the same transitions at the same time keep each once."""
        written = [transition(n, written_at=NOW_MS + n) for n in range(1, 21)]

        def record_all(seed: int) -> None:
            for one in shuffled(written, seed):
                audit.append([one])

        run_together(*[lambda seed=seed: record_all(seed) for seed in range(3)])
        assert audit.history("anna") == written[::-1]

    @pytest.mark.usefixtures("durable")
    def test_an_erasure_outlives_a_crash(self, path: Path) -> None:
        """What it deleted is gone, and what comes late is kept out, after any restart."""
        with self.open(path) as audit:
            audit.append([transition(1)])
            audit.erase({KEY: 1})
            copy = crashed_copy(path)
        for where in (copy, path):
            with self.open(where) as audit:
                audit.append([transition(1), transition(2, epoch=1)])
                assert audit.history("anna") == [transition(2, epoch=1)]

    @pytest.mark.usefixtures("durable", "trims")
    def test_what_was_trimmed_outlives_a_crash(self, path: Path) -> None:
        """And so does since when the history is whole."""
        with self.open(path) as audit:
            audit.append([transition(1), transition(2, written_at=NOW_MS + 1)])
            audit.trim(NOW_MS + 1, limit=9)
            copy = crashed_copy(path)
        for where in (copy, path):
            with self.open(where) as audit:
                assert (audit.count(), audit.complete_since()) == (1, NOW_MS + 1)

    @pytest.mark.usefixtures("durable")
    def test_outlives_a_crash(self, path: Path) -> None:
        """What was recorded is in the files, whether or not the process could close them."""
        written = [transition(n, causes=[cause(n), cause(n + 1)], written_at=NOW_MS + n) for n in (1, 3)]
        with self.open(path) as audit:
            audit.append(written)
            copy = crashed_copy(path)
        for where in (copy, path):
            with self.open(where) as audit:
                assert audit.history("anna") == written[::-1]
                audit.append(written)
                assert audit.count() == 2


class BrokenEpochs(Mapping[Key, int]):
    """One key's epoch, and a failure behind it."""

    def __getitem__(self, _: Key) -> int:
        return 1

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[Key]:
        yield KEY
        raise BrokenInputError


def shuffled(transitions: list[Transition], seed: int = 1) -> list[Transition]:
    return Random(seed).sample(transitions, len(transitions))
