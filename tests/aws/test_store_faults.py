"""The store on DynamoDB when DynamoDB fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from aws.planned_faults import (
    Call,
    FaultyClient,
    answered,
    cancelled,
    done_but,
    failing,
    faulty_clients,
    faulty_clients_of,
    statements_answered,
    time_out,
)
from aws.streams import StreamedChanges
from aws.tables import clients_of, make_rows_table
from builders import KEY, REGION, write
from conformance.suite import run_together
from ministack import MiniStack
from playerstate.backends.aws.clients import TRIES_MAX
from playerstate.backends.aws.commits import CALL_BYTES_MAX, ROUNDS_MAX, TOGETHER_MAX
from playerstate.backends.aws.store import DynamoStore
from playerstate.core.model import Key
from playerstate.core.replica import Write
from playerstate.errors import InvariantViolated, OutcomeUnknown, SlowDown, Unavailable

FIRST = write(KEY, 1)
SECOND = write(KEY, 2, after=FIRST)
GROUP = [write(Key(player_id, "gold"), 1) for player_id in ("anna", "bob")]
MANY = [write(Key(f"player-{n}", "gold"), 1) for n in range(4)]
STATEMENTS, TRANSACTION = "batch_execute_statement", "transact_write_items"
UNKNOWN = [
    time_out(),
    answered("InternalServerError", 500),
    answered("ServiceUnavailable", 503),
    ConnectionResetError(),
]


@pytest.fixture
def table(ministack: MiniStack) -> str:
    return make_rows_table(ministack)


@pytest.fixture
def faulty(ministack: MiniStack, table: str) -> Iterator[tuple[DynamoStore, FaultyClient]]:
    clients, client = faulty_clients(ministack)
    with closing(DynamoStore(clients, table, REGION, lambda: [REGION])) as store:
        yield store, client


@pytest.fixture
def changes(ministack: MiniStack, table: str) -> StreamedChanges:
    return StreamedChanges(clients_of(ministack), table)


Faulty = tuple[DynamoStore, FaultyClient]


@pytest.mark.parametrize("error", UNKNOWN, ids=repr)
@pytest.mark.parametrize("effect", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("group", [[FIRST], GROUP], ids=["a row", "rows"])
def test_a_call_of_which_nobody_knows(
    faulty: Faulty, changes: StreamedChanges, group: list[Write], effect: bool, error: Exception
) -> None:
    """It is repeated, and its rows are written once, whether it had taken place or not."""
    store, client = faulty
    client.plan(STATEMENTS if len(group) == 1 else TRANSACTION, done_but(error) if effect else failing(error))
    assert store.commit([group]) == [True]
    assert store.load([w.key for w in group]) == {w.key: {REGION: w.new} for w in group}
    assert [change.new for change in changes.read(0, 10)] == [w.new for w in group]


def test_an_update_of_which_nobody_knows(faulty: Faulty, changes: StreamedChanges) -> None:
    """A row that was there already is not written twice either, and others of the call are what they are."""
    store, client = faulty
    store.commit([[FIRST]])
    stale = write(MANY[0].key, 2, after=MANY[0])
    client.plan(STATEMENTS, done_but(time_out()))
    assert store.commit([[SECOND], [stale], [MANY[1]]]) == [True, False, True]
    assert store.load([KEY, stale.key]) == {KEY: {REGION: SECOND.new}, stale.key: {}}
    assert len(changes.read(0, 10)) == 3


def test_overwritten_before_anybody_knew(ministack: MiniStack, table: str, faulty: Faulty) -> None:
    """Where another writer has gone on from what may have been written, it counts as not written, and stays."""
    store, client = faulty
    with closing(DynamoStore(clients_of(ministack), table, REGION, list)) as other:
        client.plan(STATEMENTS, done_but(time_out(), then=lambda: other.commit([[SECOND]])))
        assert store.commit([[FIRST]]) == [False]
        assert other.load([KEY]) == {KEY: {REGION: SECOND.new}}


def test_taking_a_look_fails_too(faulty: Faulty) -> None:
    """What is there cannot be read at once: then a little later."""
    store, client = faulty
    client.plan(STATEMENTS, done_but(time_out()))
    client.plan("batch_get_item", *[failing(answered("ThrottlingException"))] * TRIES_MAX)
    assert store.commit([[FIRST]]) == [True]


@pytest.mark.parametrize(
    "code", ["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "TransactionConflict"]
)
def test_statements_that_are_throttled(faulty: Faulty, code: str) -> None:
    """Only they are tried again, until they are through."""
    store, client = faulty
    client.plan(STATEMENTS, statements_answered(code, 1, 3), statements_answered(code, 0))
    assert store.commit([[w] for w in MANY]) == [True] * 4
    tried = [[one["Parameters"][0]["S"] for one in call["Statements"]] for call in client.sent(STATEMENTS)]
    assert tried == [["player-0", "player-1", "player-2", "player-3"], ["player-1", "player-3"], ["player-1"]]


def test_a_statement_that_met_a_fault(faulty: Faulty, changes: StreamedChanges) -> None:
    """It may have been carried out: then it is not carried out again."""
    store, client = faulty
    client.plan(STATEMENTS, statements_answered("InternalServerError", 0, 2, done=True))
    assert store.commit([[w] for w in MANY]) == [True] * 4
    assert len(changes.read(0, 10)) == 4


def test_throttled_for_ever(faulty: Faulty) -> None:
    """It is given up: with nothing done if nothing of the call was written, otherwise as unknown."""
    store, client = faulty
    for_ever = [statements_answered("ThrottlingError", 0)] * ROUNDS_MAX
    client.plan(STATEMENTS, *for_ever)
    with pytest.raises(SlowDown):
        store.commit([[FIRST]])
    assert (client.planned[STATEMENTS], store.load([KEY])) == ([], {KEY: {}})
    client.plan(STATEMENTS, *for_ever)
    with pytest.raises(OutcomeUnknown):
        store.commit([[FIRST], [MANY[0]]])
    assert client.planned[STATEMENTS] == []
    client.plan(STATEMENTS, *for_ever)
    with pytest.raises(OutcomeUnknown):
        store.commit([GROUP, [SECOND]])


def test_unknown_for_ever(faulty: Faulty) -> None:
    """What may have been written is unknown, although no try is known to have written anything."""
    store, client = faulty
    client.plan(STATEMENTS, *[failing(time_out())] * ROUNDS_MAX)
    with pytest.raises(OutcomeUnknown):
        store.commit([[FIRST]])
    client.plan(TRANSACTION, failing(time_out()), *[failing(cancelled("TransactionConflict", "None"))] * ROUNDS_MAX)
    with pytest.raises(OutcomeUnknown):
        store.commit([GROUP])


@pytest.mark.parametrize("code", ["ValidationError", "AccessDenied", "ResourceNotFound", "something new"])
def test_statements_that_cannot_be(faulty: Faulty, code: str) -> None:
    """They are not tried again, and what was done beside them makes it unknown."""
    store, client = faulty
    client.plan(STATEMENTS, statements_answered(code, 0))
    with pytest.raises(Unavailable):
        store.commit([[FIRST]])
    client.plan(STATEMENTS, statements_answered(code, 1))
    with pytest.raises(OutcomeUnknown):
        store.commit([[w] for w in MANY])
    assert len(client.sent(STATEMENTS)) == 2


@pytest.mark.parametrize(
    ("codes", "written", "tries"),
    [
        (["TransactionConflict", "None"], True, 2),
        (["None", "ThrottlingError"], True, 2),
        (["ProvisionedThroughputExceeded", "TransactionConflict"], True, 2),
        (["ConditionalCheckFailed", "None"], False, 1),
        (["TransactionConflict", "ConditionalCheckFailed"], False, 1),
    ],
    ids=str,
)
def test_reasons_of_a_cancelled_transaction(faulty: Faulty, codes: list[str], written: bool, tries: int) -> None:
    """A condition that failed decides; what was but busy is tried again."""
    store, client = faulty
    client.plan(TRANSACTION, failing(cancelled(*codes)))
    assert store.commit([GROUP]) == [written]
    assert len(client.sent(TRANSACTION)) == tries


def pairs(count: int) -> list[list[Write]]:
    """Groups of two rows, none of which share one."""
    return [[write(Key(f"pair-{n}-{side}", "gold"), 1) for side in "ab"] for n in range(count)]


def sizes(client: FaultyClient) -> list[int]:
    """How many actions each transaction had so far."""
    return [len(parameters["TransactItems"]) for parameters in client.sent(TRANSACTION)]


def test_groups_go_together_as_far_as_a_transaction_takes_them(faulty: Faulty) -> None:
    """By their number, and one call costs what one costs."""
    store, client = faulty
    groups = pairs(TOGETHER_MAX + 3)
    assert store.commit(groups) == [True] * len(groups)
    assert sorted(sizes(client)) == [6, 2 * TOGETHER_MAX]
    written = [w for group in groups for w in group]
    assert store.load([w.key for w in written]) == {w.key: {REGION: w.new} for w in written}


def test_a_failed_condition_costs_the_others_one_more_call(faulty: Faulty) -> None:
    """Groups are independent: those that went with one whose condition failed are written all the same."""
    store, client = faulty
    groups = pairs(4)
    assert store.commit([[groups[1][0]]]) == [True]
    assert store.commit(groups) == [True, False, True, True]
    assert sizes(client) == [8, 6]
    assert store.load([groups[1][1].key]) == {groups[1][1].key: {}}


def test_what_is_busy_goes_on_alone(faulty: Faulty) -> None:
    """So that it holds up nobody but itself."""
    store, client = faulty
    client.plan(TRANSACTION, failing(cancelled("None", "None", "TransactionConflict", "None", "None", "None")))
    assert store.commit(pairs(3)) == [True] * 3
    assert sorted(sizes(client)) == [2, 4, 6]


@pytest.mark.parametrize("effect", [True, False], ids=["done", "not done"])
def test_together_and_nobody_knows(faulty: Faulty, effect: bool) -> None:
    """Each group is tried again by itself, and is known by what is there: written once, whatever happened before."""
    store, client = faulty
    groups = pairs(3)
    client.plan(TRANSACTION, done_but(time_out()) if effect else failing(time_out()))
    assert store.commit(groups) == [True] * 3
    assert sizes(client) == [6, 2, 2, 2]
    tokens = [parameters["ClientRequestToken"] for parameters in client.sent(TRANSACTION)]
    assert len(set(tokens)) == 4
    written = [w for group in groups for w in group]
    assert store.load([w.key for w in written]) == {w.key: {REGION: w.new} for w in written}


def test_transaction_that_cannot_be(faulty: Faulty) -> None:
    """It is not tried again, whatever else held it up."""
    store, client = faulty
    client.plan(TRANSACTION, failing(cancelled("TransactionConflict", "ValidationError")))
    with pytest.raises(Unavailable):
        store.commit([GROUP])
    assert len(client.sent(TRANSACTION)) == 1


def test_keys_that_are_not_processed(faulty: Faulty) -> None:
    """DynamoDB answers with a part of what was asked: the rest is asked for again, a bounded number of times."""
    store, client = faulty
    store.commit([[w] for w in MANY])

    def half(call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        ((name, request),) = parameters["RequestItems"].items()
        keys = request["Keys"]
        now, later = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        answer = call(RequestItems={name: {**request, "Keys": now}}) if now else {"Responses": {}}
        return {**answer, "UnprocessedKeys": {name: {**request, "Keys": later}}}

    client.plan("batch_get_item", half, half)
    assert store.load([w.key for w in MANY]) == {w.key: {REGION: w.new} for w in MANY}
    client.plan("batch_get_item", *[half] * 100)
    with pytest.raises(Unavailable):
        store.load([w.key for w in MANY])


def test_pages_of_a_player(faulty: Faulty) -> None:
    """A player of more than goes into a page (1 MB) is loaded whole, and walked whole."""
    store, client = faulty
    keys = [Key("anna", f"key-{n:02}") for n in range(12)]
    rows = {key: {REGION: bytes([n]) * 200_000} for n, key in enumerate(keys)}
    writes = [Write(key, REGION, None, "eu-west-1:1", None, body[REGION]) for key, body in rows.items()]
    assert store.commit([[w] for w in writes]) == [True] * 12
    assert store.load_player("anna") == rows
    assert len(client.sent("query")) > 1
    assert store.keys(None, 100) == keys


def test_calls_are_bounded() -> None:
    """By the number of statements, and by the bytes of rows."""
    sent: list[int] = []

    class Counting:
        def batch_execute_statement(self, *, Statements: list[Any]) -> dict[str, Any]:
            sent.append(len(Statements))
            return {"Responses": [{}] * len(Statements)}

    clients, _ = faulty_clients_of(Counting())
    with closing(DynamoStore(clients, "rows", REGION, list)) as store:
        small = [Write(Key(f"{n}", "gold"), REGION, None, "eu-west-1:1", None, b"") for n in range(60)]
        assert store.commit([[w] for w in small]) == [True] * 60
        assert sorted(sent) == [10, 25, 25]
        sent.clear()
        large = [w._replace(new=bytes(CALL_BYTES_MAX // 3)) for w in small[:7]]
        assert store.commit([[w] for w in large]) == [True] * 7
        assert sorted(sent) == [1, 3, 3]


def test_two_writers_of_the_same_rows(ministack: MiniStack, table: str) -> None:
    """Of two processes that write the same rows at once, each row has one winner."""

    def write_all(tag: bytes) -> list[bool]:
        with closing(DynamoStore(clients_of(ministack), table, REGION, list)) as store:
            keys = [Key(f"player-{n}", "gold") for n in range(40)]
            return store.commit([[Write(key, REGION, None, "eu-west-1:1", None, tag)] for key in keys])

    one, other = run_together(lambda: write_all(b"one"), lambda: write_all(b"other"))
    assert [a + b for a, b in zip(one, other, strict=True)] == [1] * 40


def test_own_rows_need_not_be_told_of(ministack: MiniStack, table: str) -> None:
    """The region itself is always among those whose rows are loaded; an unknown one's are not."""
    with closing(DynamoStore(clients_of(ministack), table, REGION, list)) as store:
        there = write(KEY, 1, region="elsewhere")
        store.commit([[FIRST], [there]])
        assert store.load([KEY, KEY]) == {KEY: {REGION: FIRST.new}}
        assert store.load_player(KEY.player_id) == {KEY: {REGION: FIRST.new, "elsewhere": there.new}}


def test_something_else_in_the_table(ministack: MiniStack, table: str) -> None:
    """What nobody of us wrote stops whoever meets it, rather than being taken for a row."""
    clients = clients_of(ministack)
    item = {"player_id": {"S": "anna"}, "state_key": {"S": "gold"}, "body": {"B": b"x"}}
    clients.write("dynamodb", "put_item", TableName=table, Item=item)
    with closing(DynamoStore(clients, table, REGION, list)) as store, pytest.raises(InvariantViolated):
        store.load_player("anna")
