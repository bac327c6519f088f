"""Parts that are made late, and what a process remembers of what it has sent."""

from __future__ import annotations

import pytest

from playerstate.aws.late import late
from playerstate.aws.sent import Sent
from playerstate.core.model import Identity
from playerstate.errors import Unavailable


def test_a_part_is_made_when_it_is_called() -> None:
    """Not before; and where that fails the call does, and the next one tries again."""
    tries: list[str] = []

    def make() -> str:
        tries.append("once")
        if len(tries) == 1:
            raise Unavailable("not yet")
        return "part"

    part = late(make)
    assert tries == []
    with pytest.raises(Unavailable):
        part.upper()
    assert part.upper() == "PART"


def test_what_is_forgotten_is_not_waited_for() -> None:
    """An erasure leaves no outcome of what it has made nothing of; others are still waited for."""
    sent = Sent()
    sent.add([Identity("p", 1, "ada", "gold"), Identity("p", 1, "bob", "gold")])
    sent.forget("ada")
    keys = sent.keys()
    assert [key.player_id for key in keys] == ["bob"]
    assert not sent.settled(lambda _: None)
    sent.forget("bob")
    assert sent.settled(lambda _: None)
