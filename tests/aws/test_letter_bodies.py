"""What is kept of letters that are too large for DynamoDB; the suite of dead letters has what comes of it."""

from __future__ import annotations

from msgspec import structs

from builders import letter
from playerstate.backends.aws.letter_bodies import COMPRESSED_BYTES_MAX, CUT_BYTES, fitting, whole_body
from playerstate.core.model import Identity


def test_what_compresses_too_well_is_cut() -> None:
    """A list of letters has all their bodies in memory, so that none is kept that becomes huge when it is read."""
    at, over = (letter("1", body=bytes(COMPRESSED_BYTES_MAX + more)) for more in (0, 1))
    kept, body, compressed = fitting(at)
    assert (kept, whole_body(body, compressed=compressed)) == (at, at.body)
    kept, body, compressed = fitting(over)
    assert (compressed, body, kept.body) == (False, bytes(CUT_BYTES), bytes(CUT_BYTES))
    assert f"{CUT_BYTES} of {len(over.body)} bytes" in kept.reason


def test_an_identity_that_nobody_can_have() -> None:
    """It is left out, and the reason says so."""
    kept = fitting(letter("1", identity=Identity("p", 1, "x" * 250_000, "gold"))).letter
    assert kept.identity is None
    assert "its identity is too long" in kept.reason
    assert fitting(letter("1", identity=Identity("p", 1, "x" * 249_900, "gold"))).letter.identity is not None


def test_what_was_cut_is_not_cut_again() -> None:
    """A letter that is replaced says the same as before."""
    for reason in ("malformed", "r" * 20_000):
        found = structs.replace(letter("1", body=bytes(COMPRESSED_BYTES_MAX + 1)), reason=reason)
        once = fitting(found).letter
        assert "SHA-256" in once.reason
        assert fitting(once).letter == once
