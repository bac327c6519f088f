"""What every keeper of leases guarantees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from conformance.suite import Suite, run_together
from playerstate.core.leases import NOBODY, Lease
from playerstate.ports.leases import Leases


class LeasesSuite(Suite, ABC):
    @abstractmethod
    def open(self) -> AbstractContextManager[Leases]:
        """Leases of a stage that has none yet."""

    @pytest.fixture
    def leases(self) -> Iterator[Leases]:
        with self.open() as leases:
            yield leases

    def test_none_at_first(self, leases: Leases) -> None:
        """A stage that never ran has no leases, and none of them can be moved."""
        assert leases.all() == []
        assert not leases.renew("s1", "anna")
        assert not leases.save("s1", "anna", "5", ended=False)
        leases.release("s1", "anna")
        assert leases.all() == []

    def test_taken_as_it_was_seen(self, leases: Leases) -> None:
        """A lease is taken by whoever saw it as it is; by the others it is not."""
        first = leases.take("s1", None, "w1")
        assert first == Lease("s1", "w1", 1)
        assert leases.all() == [first]
        assert leases.take("s1", None, "w2") is None
        assert leases.renew("s1", "w1")
        assert leases.take("s1", first, "w2") is None
        (seen,) = leases.all()
        second = leases.take("s1", seen, "w2")
        assert leases.all() == [second]
        assert (second and second.owner) == "w2"
        assert leases.take("s1", seen, "w3") is None

    def test_only_the_owner_moves_it(self, leases: Leases) -> None:
        """Each change by the owner counts up and keeps the rest; one by anybody else does nothing."""
        leases.take("s1", None, "w1")
        leases.take("s2", None, "w2")
        assert leases.save("s1", "w1", "49590338271490256608559692538361571095921575989136588898", ended=False)
        (saved, other) = sorted(leases.all())
        assert saved == Lease("s1", "w1", 2, "49590338271490256608559692538361571095921575989136588898")
        assert leases.renew("s1", "w1")
        assert sorted(leases.all()) == [saved._replace(counter=3), other]
        for change in (
            lambda: leases.renew("s1", "w2"),
            lambda: leases.save("s1", "w2", "7", ended=True),
            lambda: leases.release("s1", "w2"),
        ):
            assert not change()
            assert sorted(leases.all()) == [saved._replace(counter=3), other]

    def test_the_next_owner_goes_on_from_there(self, leases: Leases) -> None:
        """What was released or taken keeps its position and its end."""
        leases.take("s1", None, "w1")
        leases.save("s1", "w1", "00042", ended=True)
        leases.release("s1", "w1")
        (free,) = leases.all()
        assert free == Lease("s1", NOBODY, 3, "00042", ended=True)
        assert leases.take("s1", free, "w2") == free._replace(owner="w2", counter=4)
        assert not leases.save("s1", "w1", "1", ended=False)

    def test_removed(self, leases: Leases) -> None:
        """A lease that is removed is gone for its owner too, and can be made anew."""
        leases.take("s1", None, "w1")
        leases.take("s2", None, "w1")
        assert leases.remove("s1")
        assert not leases.remove("s1")
        assert not leases.renew("s1", "w1")
        assert [lease.shard_id for lease in leases.all()] == ["s2"]
        assert leases.take("s1", None, "w2") == Lease("s1", "w2", 1)

    def test_one_of_many_takes_it(self, leases: Leases) -> None:
        """Of several who take what they have seen at the same time, one gets it."""
        seen: Lease | None = None
        for _ in range(5):
            taken = run_together(*[lambda w=w, seen=seen: leases.take("s1", seen, f"w{w}") for w in range(4)])
            (seen,) = [lease for lease in taken if lease is not None]
            assert leases.all() == [seen]
