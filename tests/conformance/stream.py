"""What every stream, and every keeper of checkpoints, guarantees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

import pytest

from conformance.suite import Broken, BrokenInputError, Suite, crashed_copy, run_together, until, walk
from playerstate.ports.stream import Checkpoints, NewRecord, Stream


class StreamSuite(Suite, ABC):
    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[Stream]:
        """Open the stream that lies at a path, or make it."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "node"
        folder.mkdir()
        return folder / "stream"

    @pytest.fixture
    def stream(self, path: Path) -> Iterator[Stream]:
        with self.open(path) as stream:
            yield stream

    def test_new_stream_is_empty(self, stream: Stream) -> None:
        """Before the first record the head is 0 and there is nothing to read."""
        assert (stream.head(), stream.read(0, 10)) == (0, [])

    def test_order_within_and_across_calls(self, stream: Stream) -> None:
        """Records stand in the order of appending, within a call and across calls, at rising positions."""
        stream.append(records("a1", "b1", "a2"))
        stream.append(records("c1"))
        stream.append(records("a3", "b2"))
        read = stream.read(0, 100)
        assert [record.body for record in read] == [b"a1", b"b1", b"a2", b"c1", b"a3", b"b2"]
        assert all(one.position < next_.position for one, next_ in pairwise(read))
        assert read[0].position > 0

    def test_append_returns_the_last_position(self, stream: Stream) -> None:
        """What `append` returns is where its last record lies, and the head."""
        for bodies in (["a"], ["b", "c", "d"], ["e", "f"]):
            position = stream.append(records(*bodies))
            last = stream.read(0, 100)[-1]
            assert (last.position, last.body) == (position, bodies[-1].encode())
            assert stream.head() == position

    def test_appending_nothing(self, stream: Stream) -> None:
        """Appending no records changes nothing."""
        before = stream.append(records("a"))
        stream.append([])
        assert (stream.head(), bodies_of(stream)) == (before, [b"a"])

    def test_bodies_are_opaque(self, stream: Stream) -> None:
        """Any bytes come back as they were: none, zeros, invalid UTF-8, a megabyte."""
        odd = [b"", b"\x00\x00", b"\xff\xfe{", bytes(range(256)) * 4096]
        stream.append([NewRecord("anna", body) for body in odd])
        assert bodies_of(stream) == odd

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_paging_misses_and_repeats_nothing(self, stream: Stream, limit: int) -> None:
        """Going on from the last position seen yields every record once, in pages of at most the limit."""
        bodies = [f"r{n}" for n in range(7)]
        stream.append(records(*bodies[:3]))
        stream.append(records(*bodies[3:]))
        seen = walk(lambda last: stream.read(last.position if last else 0, limit), limit)
        assert [record.body.decode() for record in seen] == bodies
        assert seen[-1].position == stream.head()

    def test_all_or_none(self, stream: Stream) -> None:
        """An append that fails half-way leaves none of its records, and the stream goes on."""
        stream.append(records("before"))
        with pytest.raises(BrokenInputError):
            stream.append(Broken(*records("lost 1", "lost 2")))
        assert bodies_of(stream) == [b"before"]
        assert stream.head() == stream.read(0, 1)[0].position
        stream.append(records("after"))
        assert bodies_of(stream) == [b"before", b"after"]

    @pytest.mark.usefixtures("trimming")
    def test_trim_deletes_up_to_the_position(self, stream: Stream) -> None:
        """Trimming deletes the records up to and including the position, says how many, and keeps the rest."""
        middle = stream.append(records("a", "b"))
        stream.append(records("c"))
        assert stream.trim(middle) == 2
        assert bodies_of(stream) == [b"c"]
        assert stream.trim(middle) == 0
        assert stream.trim(0) == 0
        assert bodies_of(stream) == [b"c"]

    @pytest.mark.usefixtures("trimming")
    def test_trimming_many(self, stream: Stream) -> None:
        """However many records there are to delete, they are gone when `trim` returns, and no other."""
        stream.append(records(*[f"r{n}" for n in range(4_000)]))
        last = stream.append(records(*[f"r{n}" for n in range(4_000, 6_001)]))
        assert stream.trim(last - 1) == 6_000
        assert bodies_of(stream) == [b"r6000"]

    @pytest.mark.usefixtures("trimming")
    def test_positions_are_never_used_again(self, stream: Stream) -> None:
        """After everything was trimmed the head stays, and what is appended then lies beyond it."""
        head = stream.append(records("a", "b", "c"))
        assert stream.trim(head) == 3
        assert (stream.head(), stream.read(0, 10)) == (head, [])
        assert stream.append(records("d")) > head
        assert [record.body for record in stream.read(head, 10)] == [b"d"]

    @pytest.mark.usefixtures("trimming")
    def test_trimming_beyond_the_head(self, stream: Stream) -> None:
        """Trimming further than there are records takes nothing from those that come."""
        head = stream.append(records("a"))
        assert stream.trim(head + 100) == 1
        assert stream.head() == head
        stream.append(records("b"))
        assert [record.body for record in stream.read(head, 10)] == [b"b"]

    def test_reader_is_complete_while_others_append(self, stream: Stream) -> None:
        """A reader that goes on from the last position misses nothing and keeps each writer's order, meanwhile."""
        writers, calls, size = 4, 30, 3
        expected = [[f"{w}.{n}" for n in range(calls * size)] for w in range(writers)]
        seen: list[str] = []

        def write_all(bodies: list[str]) -> None:
            for start in range(0, len(bodies), size):
                stream.append(records(*bodies[start : start + size]))

        def read_all() -> None:
            position = 0
            for _ in until(lambda: len(seen) >= writers * calls * size, "the reader to see every record"):
                for record in stream.read(position, 7):
                    assert record.position > position
                    position = record.position
                    seen.append(record.body.decode())

        run_together(read_all, *[lambda bodies=bodies: write_all(bodies) for bodies in expected])
        assert len(seen) == writers * calls * size
        for w, bodies in enumerate(expected):
            assert [body for body in seen if body.startswith(f"{w}.")] == bodies

    def test_failing_calls_leave_others_alone(self, stream: Stream) -> None:
        """Appends that fail beside appends that succeed take nothing away from them."""

        def append_good() -> None:
            for n in range(20):
                stream.append(records(f"good {n}"))

        def append_bad() -> None:
            for n in range(20):
                with pytest.raises(BrokenInputError):
                    stream.append(Broken(*records(f"bad {n}")))

        run_together(append_good, append_bad)
        assert bodies_of(stream) == [f"good {n}".encode() for n in range(20)]

    @pytest.mark.usefixtures("durable")
    def test_outlives_a_crash(self, path: Path) -> None:
        """Everything that was acknowledged is in the files, whether or not the process could close them."""
        with self.open(path) as stream:
            stream.append(records("a", "b"))
            stream.append(records("c"))
            before = stream.read(0, 10)
            with self.open(crashed_copy(path)) as recovered:
                assert recovered.read(0, 10) == before
        with self.open(path) as reopened:
            assert reopened.read(0, 10) == before

    @pytest.mark.usefixtures("durable", "trimming")
    def test_positions_are_never_used_again_after_a_restart(self, path: Path) -> None:
        """Positions go on rising when everything was trimmed before the restart."""
        with self.open(path) as stream:
            head = stream.append(records("a", "b"))
            stream.trim(head)
        with self.open(path) as stream:
            assert stream.head() == head
            stream.append(records("c"))
            assert [record.body for record in stream.read(head, 10)] == [b"c"]


class CheckpointsSuite(Suite, ABC):
    @abstractmethod
    def open(self, path: Path) -> AbstractContextManager[Checkpoints]:
        """Open the checkpoints that lie at a path, or make them."""

    @pytest.fixture
    def checkpoints(self, tmp_path: Path) -> Iterator[Checkpoints]:
        with self.open(tmp_path / "checkpoints") as checkpoints:
            yield checkpoints

    def test_begins_at_zero(self, checkpoints: Checkpoints) -> None:
        """A consumer that never saved begins at 0."""
        assert checkpoints.load("apply") == 0

    def test_last_saved_counts(self, checkpoints: Checkpoints) -> None:
        """What is loaded is what was saved last, also when it lies before an earlier one."""
        for position in (3, 10, 10, 7, 2**62):
            checkpoints.save("apply", position)
            assert checkpoints.load("apply") == position

    def test_consumers_are_independent(self, checkpoints: Checkpoints) -> None:
        """One consumer's position says nothing of another's, however alike their names are."""
        names = ["apply", "apply2", "Apply", "apply ", "app", "it's", "100%"]
        for position, name in enumerate(names, start=1):
            checkpoints.save(name, position)
        assert [checkpoints.load(name) for name in names] == list(range(1, len(names) + 1))
        assert checkpoints.load("appl") == 0

    def test_saved_from_many_threads(self, checkpoints: Checkpoints) -> None:
        """Consumers that save at the same time do not disturb each other."""

        def save_all(name: str) -> None:
            for position in range(1, 31):
                checkpoints.save(name, position)
                assert checkpoints.load(name) == position

        names = ["apply", "project", "link", "audit"]
        run_together(*[lambda name=name: save_all(name) for name in names])
        assert [checkpoints.load(name) for name in names] == [30] * 4

    @pytest.mark.usefixtures("durable")
    def test_outlives_a_restart(self, tmp_path: Path) -> None:
        """A consumer goes on where it was when the checkpoints were closed."""
        with self.open(tmp_path / "kept") as checkpoints:
            checkpoints.save("apply", 41)
            checkpoints.save("apply", 42)
        with self.open(tmp_path / "kept") as checkpoints:
            assert (checkpoints.load("apply"), checkpoints.load("project")) == (42, 0)


def records(*bodies: str) -> list[NewRecord]:
    return [NewRecord(body[:1], body.encode()) for body in bodies]


def bodies_of(stream: Stream) -> list[bytes]:
    return [record.body for record in stream.read(0, 1000)]
