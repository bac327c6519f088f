"""What it costs apply that others put letters into the control table too."""

from __future__ import annotations

from typing import Any

import pytest

from aws.tables import clients_of, make_control_table
from builders import NOW_MS, letter
from conformance.dead_letters import DISCARDED, IDENTITY
from ministack import MiniStack
from playerstate.backends.aws.control import Control
from playerstate.backends.aws.dead_letters import GONE_AT_ONCE, DynamoDeadLetters
from playerstate.backends.aws.letter_changes import LetterChanges
from playerstate.stages.put_aside import PutAside


def test_one_letter_of_another_among_many(ministack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place, its head, a page of records and the counts are read; not what had been put before."""
    clients = clients_of(ministack)
    letters = DynamoDeadLetters(Control(clients, make_control_table(ministack)))
    letters.put([letter(f"{n:03}", identity=IDENTITY._replace(sequence=n)) for n in range(300)])
    letters.expire(NOW_MS, 150, at=NOW_MS, limit=150)
    aside = PutAside(letters)
    letters.put([letter("another's", identity=IDENTITY._replace(sequence=999))])
    read: list[int] = []
    read_really = type(clients).read

    def counted(service: str, operation: str, **more: Any) -> dict[str, Any]:
        answer = read_really(clients, service, operation, **more)
        read.append(len(answer["Items"] if "Items" in answer else next(iter(answer["Responses"].values()))))
        return answer

    monkeypatch.setattr(clients, "read", counted)
    aside.refresh()
    assert sum(read) <= 3 + GONE_AT_ONCE
    read.clear()
    aside.refresh()
    assert read == [1]
    assert aside.holds(IDENTITY._replace(sequence=999))
    assert aside.holds(IDENTITY)


def test_a_letter_that_goes_while_others_are_taken_in(ministack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 2: it is found as the record of it, whenever that is."""
    letters = DynamoDeadLetters(Control(clients_of(ministack), make_control_table(ministack)))
    aside = PutAside(letters)
    letters.put([letter("1", identity=IDENTITY)])
    heads = LetterChanges.heads

    def gone_before(self: LetterChanges, letter_ids: list[str]) -> Any:
        monkeypatch.setattr(LetterChanges, "heads", heads)
        assert letters.end("1", DISCARDED)
        return heads(self, letter_ids)

    monkeypatch.setattr(LetterChanges, "heads", gone_before)
    aside.refresh()
    assert aside.holds(IDENTITY)
