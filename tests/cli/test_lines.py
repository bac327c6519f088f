"""Lines and identities."""

from __future__ import annotations

import tracemalloc
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from builders import op, update
from playerstate.cli.lines import LINE_BYTES_MAX, Identities, Line, read_lines


class Pipe:
    """Gives a text in pieces, as a slow sender does."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def read1(self, size: int, /) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_lines_do_not_depend_on_how_they_arrive(pieces: list[bytes]) -> None:
    """However a text is cut, its lines are the same, numbered from 1, empty ones left out."""
    text = b"".join(pieces)
    expected = [Line(number, body) for number, body in enumerate(text.split(b"\n"), 1) if body.strip()]
    assert [line for some in read_lines(Pipe(pieces)) for line in some] == expected


def test_a_line_is_there_as_soon_as_it_is_complete() -> None:
    """A slow pipe's lines do not wait for others."""
    arriving = read_lines(Pipe([b"a\nb", b"c\n", b"d"]))
    assert [next(arriving) for _ in range(3)] == [[Line(1, b"a")], [Line(2, b"bc")], []]
    assert next(arriving) == [Line(3, b"d")]


def test_a_line_without_end_is_not_kept() -> None:
    """Memory stays bounded: what is too long is counted and left out, and its neighbours stay."""
    for pieces in ([b"x" * 1000] * (LINE_BYTES_MAX // 1000 + 10), [b"x" * (LINE_BYTES_MAX + 1)]):
        read = [line for some in read_lines(Pipe([b"a\n", *pieces, b"\nb"])) for line in some]
        assert read == [Line(1, b"a"), Line(2, None), Line(3, b"b")]
    tracemalloc.start()
    assert list(read_lines(Pipe([b"x" * 100_000] * 500)))[-1] == [Line(1, None)]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 5 * LINE_BYTES_MAX
    longest = b"x" * LINE_BYTES_MAX
    assert [line for some in read_lines(BytesIO(longest)) for line in some] == [Line(1, longest)]


def test_sequences_count_for_each_first_key() -> None:
    """1, 2, 3, ... for each, as a producer's have to."""
    identities = Identities("p")
    keys = [("anna", "gold"), ("bob", "gold"), ("anna", "gold"), ("anna", "rank"), ("anna", "gold")]
    made = [
        identities.complete(update(op(player_id=player_id, state_key=key), producer="", sequence=0))
        for player_id, key in keys
    ]
    assert [(u.producer, u.sequence) for u in made] == [("p", 1), ("p", 1), ("p", 2), ("p", 1), ("p", 3)]


def test_own_identities_stay() -> None:
    """A line that has an identity keeps it; one that is malformed is left to accept."""
    identities = Identities("p")
    for kept in (update(producer="q", sequence=7), update(producer="", sequence=7), update(producer="q", sequence=0)):
        assert identities.complete(kept) == kept
    assert identities.complete(update(producer="", sequence=0)).sequence == 1


def test_identities_are_bounded_and_follow_from_the_order() -> None:
    """When too many keys would be remembered a new producer begins, so no identity is ever given twice."""

    def made() -> list[tuple[str, int, str]]:
        identities = Identities("p", keys_max=3)
        players = [f"player-{n * n % 7}" for n in range(50)]
        updates = [update(op(player_id=player_id), producer="", sequence=0) for player_id in players]
        return [(u.producer, u.sequence, u.ops[0].player_id) for u in map(identities.complete, updates)]

    assert made() == made()
    assert len(set(made())) == 50
    assert len({producer for producer, _, _ in made()}) > 2
