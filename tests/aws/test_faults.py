"""The faults of the tests' own do what they say, and the replicator carries what a global table would."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from aws.faults import DEATHS, TAKES_SOME, Died, Fault, Faults, FaultyClients, Function, Gate, Zombies
from aws.polling.invocation import Answered, FunctionError
from aws.receiving import clients_of, make_queue, make_stream
from aws.replicator import Replicator
from aws.tables import make_rows_table
from ministack import MiniStack
from playerstate.backends.aws.clients import Clients
from playerstate.backends.memory.clock import ManualClock
from playerstate.errors import OutcomeUnknown, SlowDown
from waiting import wait_until

ITEM = {"player_id": {"S": "ada"}, "state_key": {"S": "gold#r1"}, "body": {"B": b"1"}}


class Always(Faults):
    """One fault at every call."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(0, 1.0)
        self.fault = fault

    def at(self, name: str, *, mortal: bool, times: int = 1) -> Fault | None:
        return self.fault if self.armed else None


def item_is_there(ministack: MiniStack, table: str) -> bool:
    key = {name: ITEM[name] for name in ("player_id", "state_key")}
    return "Item" in clients_of(ministack).read("dynamodb", "get_item", TableName=table, Key=key)


@pytest.mark.parametrize(
    ("fault", "raised", "done"),
    [
        (Fault.THROTTLED, SlowDown, False),
        (Fault.LOST_BEFORE, OutcomeUnknown, False),
        (Fault.LOST_AFTER, OutcomeUnknown, True),
        (Fault.BROKEN_BEFORE, OutcomeUnknown, False),
        (Fault.BROKEN_AFTER, OutcomeUnknown, True),
        (Fault.DIES_BEFORE, Died, False),
        (Fault.DIES_AFTER, Died, True),
    ],
)
def test_faults(ministack: MiniStack, fault: Fault, raised: type[BaseException], done: bool) -> None:
    """Each comes as the error that the service would lead to, before or after the effect."""
    table = make_rows_table(ministack)
    clients = FaultyClients(clients_of(ministack), Always(fault), mortal=True)
    with pytest.raises(raised):
        clients.write("dynamodb", "put_item", TableName=table, Item=ITEM)
    assert item_is_there(ministack, table) is done


def test_some_are_taken(ministack: MiniStack) -> None:
    """Of entries every other one is taken, and the answer tells which: in their places, or by their ids."""
    clients = FaultyClients(clients_of(ministack), Always(Fault.SOME))
    stream, queue_url, table = make_stream(ministack), make_queue(ministack), make_rows_table(ministack)
    records = [{"Data": b"1", "PartitionKey": str(n)} for n in range(3)]
    answer = clients.write("kinesis", "put_records", StreamName=stream, Records=records)
    assert ["ErrorCode" in record for record in answer["Records"]] == [True, False, True]
    assert answer["FailedRecordCount"] == 2
    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(3)]
    answer = clients.write("sqs", "send_message_batch", QueueUrl=queue_url, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["1"]
    assert {entry["Id"] for entry in answer["Failed"]} == {"0", "2"}
    insert = f"INSERT INTO \"{table}\" VALUE {{'player_id': ?, 'state_key': ?}}"
    statements = [{"Statement": insert, "Parameters": [{"S": "ada"}, {"S": f"{n}#r1"}]} for n in range(3)]
    answer = clients.write("dynamodb", "batch_execute_statement", Statements=statements)
    assert ["Error" in response for response in answer["Responses"]] == [True, False, True]
    keys = [{"player_id": {"S": "ada"}, "state_key": {"S": f"{n}#r1"}} for n in range(3)]
    answer = clients.read("dynamodb", "batch_get_item", RequestItems={table: {"Keys": keys}})
    assert [item["state_key"]["S"] for item in answer["Responses"][table]] == ["1#r1"]
    assert answer["UnprocessedKeys"][table]["Keys"] == [keys[0], keys[2]]
    assert set(TAKES_SOME) >= {"publish_batch", "delete_message_batch"}


def test_a_seed_says_what_goes_wrong() -> None:
    """At which call of each name, whatever is called between; nobody dies who is not mortal; none if not armed; an
    outage is of one service, and ends.
    """

    def run(seed: int, *, mortal: bool = True) -> list[Fault | None]:
        faults = Faults(seed, 0.3)
        return [faults.at("dynamodb put_item", mortal=mortal) for _ in range(200)]

    assert run(1) == run(1) != run(2)
    assert set(run(1)) == {None, *Fault}
    assert not set(run(1, mortal=False)) & set(DEATHS)
    faults = Faults(1, 0.0)
    faults.outage("dynamodb", 2)
    assert faults.at("sqs send_message", mortal=True) is None
    fates = [faults.at("dynamodb put_item", mortal=True) for _ in range(3)]
    assert [fate is None or fate in DEATHS for fate in fates] == [False, False, True]
    faults = Faults(1, 1.0)
    faults.armed = False
    assert faults.at("x", mortal=True) is None


def writing(done: list[Any], table: str) -> Callable[[Clients, Gate], Any]:
    """Builds a handler that puts an item and then notes what it was called with."""

    def build(clients: Clients, _: Gate) -> Any:
        def handler(event: Any, _: object) -> None:
            clients.write("dynamodb", "put_item", TableName=table, Item=ITEM)
            done.append(event)

        return handler

    return build


def test_a_zombie_writes_later(ministack: MiniStack) -> None:
    """It is taken for dead, its successor goes on, and what it was about to write is written once it is released."""
    table, done, zombies = make_rows_table(ministack), list[Any](), Zombies()
    faults = Faults(1, 0.0)
    function = Function("f", writing(done, table), clients_of(ministack), faults, zombies, Random(1))
    function.ZOMBIE_SHARE, function.HELD_AFTER_MAX = 1.0, 0
    assert function({"n": 1}) == FunctionError("it has timed out")
    assert zombies.waiting == 1
    assert not item_is_there(ministack, table)
    function.ZOMBIE_SHARE = function.ANSWER_LOST_SHARE = 0.0
    assert function({"n": 2}) == Answered(None)
    zombies.release()
    assert done == [{"n": 2}, {"n": 1}]
    assert function.starts == 2
    wait_until(lambda: not any("taken for dead" in thread.name for thread in threading.enumerate()))


def test_answers_are_lost_and_environments_die(ministack: MiniStack) -> None:
    """What a function has done stays done; after a death another environment begins."""
    table, done = make_rows_table(ministack), list[Any]()
    faults = Faults(1, 0.0)
    function = Function("f", writing(done, table), clients_of(ministack), faults, Zombies(), Random(1))
    function.ZOMBIE_SHARE, function.ANSWER_LOST_SHARE = 0.0, 1.0
    assert function({}) == FunctionError("its answer was lost")
    assert done == [{}]
    dying = Function("g", writing(done, table), clients_of(ministack), Always(Fault.DIES_AFTER), Zombies(), Random(1))
    dying.ZOMBIE_SHARE = 0.0
    assert [dying({}), dying({})] == [FunctionError("it has died")] * 2
    assert dying.starts == 2
    assert done == [{}]


def put(ministack: MiniStack, table: str, name: str, n: int) -> None:
    item = {"player_id": {"S": "ada"}, "state_key": {"S": name}, "body": {"B": str(n).encode()}}
    clients_of(ministack).write("dynamodb", "put_item", TableName=table, Item=item)


def held(ministack: MiniStack, table: str) -> Counter[str]:
    items = clients_of(ministack).read("dynamodb", "scan", TableName=table)["Items"]
    return Counter({item["state_key"]["S"]: int(item["body"]["B"]) for item in items})


def test_the_replicator(ministack: MiniStack, clock: ManualClock) -> None:
    """It carries its own region's rows, in their order, later, some combined, and not at all while the way is cut."""
    here, there = make_rows_table(ministack), make_rows_table(ministack)
    way = Replicator(clients_of(ministack), "r1", here, there, clock, Random(1), combine_share=0.5)
    for n in range(1, 9):
        put(ministack, here, "gold#r1", n)
    put(ministack, here, "name#r1", 1)
    put(ministack, here, "gold#r2", 1)
    way.lag_ms = 100
    assert way.carry(10) == 0
    clock.advance(100)
    way.cut = True
    assert way.carry(10) == 0
    way.cut = False
    seen = []
    while way.carry(10):
        seen.append(held(ministack, there)["gold#r1"])
    assert seen == sorted(seen)
    assert len(seen) < 8
    assert seen[-1] == 8
    assert way.combined
    assert way.idle
    assert held(ministack, there) == Counter({"gold#r1": 8, "name#r1": 1})
