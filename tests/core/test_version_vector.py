"""Version vectors: a lattice whose elements have one text each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playerstate.core.version_vector import Order, compare, covers, format_vector, join, parse_vector, total
from playerstate.errors import InvalidUpdate

REGIONS = ("ap-south-1", "eu-west-1", "us-east-1", "us-east-1.2")
vectors = st.dictionaries(st.sampled_from(REGIONS), st.integers(1, 5))


@given(vectors, vectors, vectors)
def test_join_is_the_least_vector_that_covers_both(a: dict[str, int], b: dict[str, int], other: dict[str, int]) -> None:
    """It covers both, and everything that covers both covers it."""
    joined = join(a, b)
    assert covers(joined, a)
    assert covers(joined, b)
    assert covers(other, joined) == (covers(other, a) and covers(other, b))


@given(vectors, vectors, vectors)
def test_join_is_commutative_associative_idempotent(a: dict[str, int], b: dict[str, int], c: dict[str, int]) -> None:
    """And leaves its arguments alone."""
    before = dict(a), dict(b)
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a
    assert (a, b) == before


@given(vectors, vectors)
def test_compare_says_how_two_vectors_stand(a: dict[str, int], b: dict[str, int]) -> None:
    """By what each has that the other lacks."""
    more = any(n > b.get(region, 0) for region, n in a.items())
    less = any(n > a.get(region, 0) for region, n in b.items())
    expected = {
        (False, False): Order.EQUAL,
        (True, False): Order.AFTER,
        (False, True): Order.BEFORE,
        (True, True): Order.CONCURRENT,
    }
    assert compare(a, b) is expected[more, less]


@given(vectors, st.sampled_from(REGIONS))
def test_every_step_grows_the_total(vector: dict[str, int], region: str) -> None:
    """The graph compares totals in place of vectors."""
    assert total({**vector, region: vector.get(region, 0) + 1}) == total(vector) + 1


@given(vectors, vectors)
def test_texts_are_equal_where_vectors_are(a: dict[str, int], b: dict[str, int]) -> None:
    """The text is a lock and an ETag, so it must not depend on order, nor on entries of zero."""
    assert (format_vector(a) == format_vector(b)) == (a == b)
    assert parse_vector(format_vector(a)) == a
    assert format_vector(dict(reversed(a.items())) | {"zero": 0}) == format_vector(a)


@pytest.mark.parametrize(
    ("vector", "text"),
    [
        ({}, ""),
        ({"us-east-1": 12}, "us-east-1:12"),
        ({"us-east-1": 12, "eu-west-1": 4}, "eu-west-1:4,us-east-1:12"),
        ({"us-east-1": 0}, ""),
    ],
)
def test_the_text_of_a_vector(vector: dict[str, int], text: str) -> None:
    """Sorted, without zero entries; one region is no special case."""
    assert format_vector(vector) == text


@pytest.mark.parametrize(
    "text",
    [
        "us-east-1",
        "us-east-1:",
        ":4",
        "us-east-1:0",
        "us-east-1:-1",
        "us-east-1:1.5",
        "us-east-1:1,",
        ",us-east-1:1",
        "us-east-1:1,us-east-1:2",
        "us:east:1",
        "us-east-1: 1",
        "us-east-1:\u0661",
        "us-east-1:1234567890123456789",
        "us-east-1:1 ",
    ],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    """With a code and the place that was given."""
    with pytest.raises(InvalidUpdate, match="Expected a version such as `us-east-1:12`") as caught:
        parse_vector(text, where="$.seen")
    assert (caught.value.code, caught.value.where) == ("bad_version", "$.seen")


@given(st.text(alphabet="ab:,0123456789-. ", max_size=20) | st.text(max_size=20))
def test_any_text_is_a_version_or_refused(text: str) -> None:
    """What is taken means the same when it is written again."""
    try:
        vector = parse_vector(text)
    except InvalidUpdate:
        return
    assert parse_vector(format_vector(vector)) == vector
    assert all(n > 0 for n in vector.values())
