"""Dead letters and findings in the control table when DynamoDB fails, and what several processes do to each other."""

from __future__ import annotations

import pytest

from aws.planned_faults import FaultyClient, answered, cancelled, done_but, failing, faulty_clients, time_out
from aws.tables import clients_of, make_control_table
from builders import NOW_MS, letter
from conformance.dead_letters import DISCARDED, IDENTITY
from conformance.findings import found
from conformance.suite import run_together
from ministack import MiniStack
from playerstate.backends.aws.clients import TRIES_MAX
from playerstate.backends.aws.control import ROUNDS_MAX, Control, Name
from playerstate.backends.aws.dead_letters import DynamoDeadLetters
from playerstate.backends.aws.findings import DynamoFindings
from playerstate.errors import OutcomeUnknown, SlowDown, Unavailable

TRANSACTION = "transact_write_items"


@pytest.fixture
def table(ministack: MiniStack) -> str:
    return make_control_table(ministack)


@pytest.fixture
def faulty(ministack: MiniStack, table: str) -> tuple[Control, FaultyClient]:
    clients, client = faulty_clients(ministack)
    return Control(clients, table), client


Faulty = tuple[Control, FaultyClient]


@pytest.mark.parametrize("error", [time_out(), answered("InternalServerError", 500)], ids=repr)
def test_a_transaction_of_which_nobody_knows(faulty: Faulty, error: Exception) -> None:
    """A letter is put, ended and forgotten once, and whoever asked is told that it was so."""
    control, client = faulty
    letters = DynamoDeadLetters(control)
    client.plan(TRANSACTION, done_but(error))
    assert letters.put([letter("1", identity=IDENTITY)]) == 1
    client.plan(TRANSACTION, failing(error))
    assert letters.put([letter("2")]) == 1
    assert (letters.mark(), letters.count()) == (2, 2)
    client.plan(TRANSACTION, done_but(error))
    assert letters.end("1", DISCARDED) is True
    assert [gone.number for gone in letters.gone()] == [1]
    client.plan(TRANSACTION, done_but(error))
    assert letters.forget(2 * NOW_MS, 0, limit=10) == 1


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_that_is_held_up(faulty: Faulty, code: str) -> None:
    """It is tried again a bounded number of times, and then nothing was done."""
    control, client = faulty
    letters = DynamoDeadLetters(control)
    client.plan(TRANSACTION, *[failing(cancelled("None", code))] * (ROUNDS_MAX - 1))
    assert letters.put([letter("1")]) == 1
    client.plan(TRANSACTION, *[failing(cancelled("None", code))] * ROUNDS_MAX)
    with pytest.raises(Unavailable):
        letters.put([letter("2")])
    assert (client.planned[TRANSACTION], letters.list()) == ([], [letter("1")])


def test_a_transaction_that_cannot_be(faulty: Faulty) -> None:
    """It is tried once."""
    control, client = faulty
    client.plan(TRANSACTION, failing(cancelled("None", "ValidationError")))
    with pytest.raises(Unavailable):
        DynamoDeadLetters(control).put([letter("1")])
    assert len(client.sent(TRANSACTION)) == 1


@pytest.mark.parametrize("first", [True, False], ids=["the first part", "a later part"])
def test_some_parts_are_done(faulty: Faulty, first: bool) -> None:
    """Nothing was done if it is the first part that fails; otherwise that is unknown, and putting again mends it."""
    control, client = faulty
    letters, findings = DynamoDeadLetters(control), DynamoFindings(control)
    many = [letter(f"{n:03}") for n in range(30)]
    if not first:
        client.plan(TRANSACTION, lambda call, parameters: call(**parameters))
    client.plan(TRANSACTION, *[failing(answered("ThrottlingException"))] * TRIES_MAX)
    with pytest.raises(SlowDown if first else OutcomeUnknown):
        letters.put(many)
    assert letters.put(many) == (30 if first else 11)
    assert letters.list() == many
    some = [found(n) for n in range(130)]
    if not first:
        client.plan(TRANSACTION, lambda call, parameters: call(**parameters))
    client.plan(TRANSACTION, *[failing(answered("ThrottlingException"))] * TRIES_MAX)
    with pytest.raises(SlowDown if first else OutcomeUnknown):
        findings.put(some)
    findings.put(some)
    assert findings.count() == 130


def test_processes_that_change_letters_at_once(ministack: MiniStack, table: str) -> None:
    """What is put and ended by several is all there, counted and numbered without a gap."""

    def put_and_end(name: str) -> None:
        letters = DynamoDeadLetters(Control(clients_of(ministack), table))
        for n in range(4):
            assert letters.put([letter(f"{name}-{n}"), letter(f"both-{n}")]) >= 1
            assert letters.end(f"{name}-{n}", DISCARDED)

    run_together(*[lambda name=name: put_and_end(name) for name in ("a", "b")])
    letters = DynamoDeadLetters(Control(clients_of(ministack), table))
    assert [one.letter_id for one in letters.list()] == [f"both-{n}" for n in range(4)]
    assert [gone.number for gone in letters.gone()] == list(range(1, 9))
    assert (letters.count(), letters.mark(), letters.summary().by_stage) == (4, 12, {"apply": 4})


def test_items_are_replaced_only_where_they_are(faulty: Faulty) -> None:
    """A record that is forgotten meanwhile does not come back by being changed; other failures are none of this."""
    control, client = faulty
    item = {"pk": "gone", "sk": "1", "n": 5, "body": b"\x00"}
    assert control.put_if_there(item) is False
    control.put(item)
    assert control.put_if_there({**item, "n": 6}) is True
    assert control.get(Name("gone", "1")) == {Name("gone", "1"): {**item, "n": 6}}
    client.plan("put_item", failing(answered("AccessDeniedException")))
    with pytest.raises(Unavailable):
        control.put_if_there(item)
