"""Reading shards: in order over resharding, complete whatever expires, and told where records have gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from aws.fake_kinesis import FakeKinesis, answered
from aws.kinesis_faults import clients_on
from aws.one_shard import make_stream
from aws.tables import make_rows_table
from ministack import MiniStack
from playerstate.backends.aws.kinesis import KinesisStream
from playerstate.backends.aws.shards import RENEWALS_MAX, dynamodb_shards, kinesis_shards
from playerstate.core.model import Key
from playerstate.core.shards import Shard, readable
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.ports.shards import HORIZON, Shards
from playerstate.ports.store import Change
from playerstate.ports.stream import NewRecord, StreamRecord

PLAYERS = ["anna", "bob", "carl", "dora", "eve"]


def reading(fake: FakeKinesis) -> Shards[StreamRecord]:
    return kinesis_shards(clients_on(fake), "updates")


def put(fake: Any, *bodies: str) -> None:
    """Records of the player that each is named for."""
    records = [NewRecord(body.split(" ")[0], body.encode()) for body in bodies]
    KinesisStream(clients_on(fake), "updates").append(records)


class Follower:
    """Reads the shards whose turn it is a step at a time, and goes on from what it has kept when it starts anew."""

    def __init__(self, shards: Shards[StreamRecord]) -> None:
        self.shards = shards
        self.positions: dict[str, str] = {}
        self.ended: set[str] = set()
        self.readers: dict[str, Any] = {}
        self.seen: list[bytes] = []
        self.trimmed = False

    def step(self, limit: int) -> None:
        for shard_id in readable(self.shards.shards(), self.ended):
            if shard_id not in self.readers:
                after = self.positions.get(shard_id, HORIZON)
                self.readers[shard_id] = self.shards.reader(shard_id, after)
            batch = self.readers[shard_id].read(limit)
            assert len(batch.records) <= limit
            self.seen += [record.body for record in batch.records]
            self.positions[shard_id] = batch.position
            self.trimmed |= batch.trimmed
            if batch.ended:
                self.ended.add(shard_id)

    def restart(self) -> None:
        self.readers.clear()

    def read_all(self, limit: int = 100) -> list[bytes]:
        before = -1
        while before != (before := len(self.seen) + 1_000 * len(self.ended)):
            for _ in range(4):  # a sparse one has empty answers in between
                self.step(limit)
        return self.seen


acts = st.lists(
    st.sampled_from(["put", "put", "put", "step", "step", "split", "merge", "restart", "expire"]), max_size=40
)


@settings(max_examples=60)
@given(acts=acts, limit=st.integers(1, 4), page_max=st.integers(1, 5), sparse=st.booleans(), data=st.data())
def test_order_over_resharding(acts: list[str], limit: int, page_max: int, sparse: bool, data: st.DataObject) -> None:
    """Promise 7: whatever splits, merges, expires and starts anew, a player's records are read in order, and once."""
    fake = FakeKinesis(2, page_max=page_max, sparse=sparse)
    follower = Follower(reading(fake))
    sent: list[bytes] = []
    for n, act in enumerate(acts):
        shards = fake.open_shards()
        if act == "put":
            bodies = [f"{player} {n}" for player in PLAYERS]
            put(fake, *bodies)
            sent += [body.encode() for body in bodies]
        elif act == "step":
            follower.step(limit)
        elif act == "split" and len(shards) < 8:
            fake.split(data.draw(st.sampled_from(shards)).shard_id)
        elif act == "merge" and len(shards) > 1:
            left = data.draw(st.integers(0, len(shards) - 2))
            fake.merge(shards[left].shard_id, shards[left + 1].shard_id)
        elif act == "restart":
            follower.restart()
        elif act == "expire":
            fake.expire_iterators()
    seen = follower.read_all(limit)
    for player in PLAYERS:
        assert [body for body in seen if body.startswith(player.encode())] == [
            body for body in sent if body.startswith(player.encode())
        ]
    assert not follower.trimmed


def test_shards_are_listed_with_their_parents() -> None:
    """All pages, closed ones too, and where each came from."""
    fake = FakeKinesis(2)
    one, two = (shard.shard_id for shard in fake.open_shards())
    three, four = fake.split(one)
    five = fake.merge(four, two)
    assert reading(fake).shards() == [
        Shard(one, (), closed=True),
        Shard(two, (), closed=True),
        Shard(three, (one,)),
        Shard(four, (one,), closed=True),
        Shard(five, (four, two)),
    ]


def test_the_end_of_a_closed_shard_is_known() -> None:
    """With the last records, with none at all, and again when somebody asks again."""
    fake = FakeKinesis(1)
    put(fake, "anna 1", "anna 2")
    (shard_id,) = fake.shards
    reader = reading(fake).reader(shard_id, HORIZON)
    first = reader.read(1)
    assert not first.ended
    fake.split(shard_id)
    last = reader.read(10)
    assert ([record.body for record in last.records], last.ended) == ([b"anna 2"], True)
    assert reader.read(10) == ([], last.position, True, False)
    again = reading(fake).reader(shard_id, last.position).read(10)
    assert again == ([], last.position, True, False)


def test_records_that_have_gone_are_told() -> None:
    """Whoever comes back to find the next records trimmed is told, once, and goes on with the oldest that is there."""
    fake = FakeKinesis(1)
    put(fake, *[f"anna {n}" for n in range(5)])
    (shard_id,) = fake.shards
    position = reading(fake).reader(shard_id, HORIZON).read(2).position
    unharmed = reading(fake).reader(shard_id, position)
    fake.trim(shard_id, 1)
    assert [record.body for record in unharmed.read(1).records] == [b"anna 2"]
    fake.trim(shard_id, 2)
    reader = reading(fake).reader(shard_id, position)
    batch = reader.read(1)
    assert ([record.body for record in batch.records], batch.trimmed) == ([b"anna 3"], True)
    batch = reader.read(1)
    assert ([record.body for record in batch.records], batch.trimmed) == ([b"anna 4"], False)


def test_renewing_is_bounded() -> None:
    """Iterators that expire at once are no endless loop."""
    fake = FakeKinesis(1)
    calls = 0

    def get_records(**_: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        raise answered("ExpiredIteratorException")

    fake.get_records = get_records  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        reading(fake).reader(next(iter(fake.shards)), HORIZON).read(1)
    assert calls == RENEWALS_MAX + 1


def test_kinesis_itself(ministack: MiniStack) -> None:
    """Several shards of the emulator's: what was appended is read, and goes on from a position."""
    clients = ministack.clients()
    name = make_stream(clients, ministack.name("updates"), shard_count=3)
    bodies = [f"{player} {n}" for n in range(3) for player in PLAYERS]
    KinesisStream(clients, name).append([NewRecord(body.split(" ")[0], body.encode()) for body in bodies])
    follower = Follower(kinesis_shards(clients, name))
    follower.step(2)
    follower.restart()
    seen = [body.decode() for body in follower.read_all()]
    assert sorted(seen) == sorted(bodies)
    for player in PLAYERS:
        assert [body for body in seen if body.startswith(player)] == [f"{player} {n}" for n in range(3)]


def put_row(clients: Any, table: str, place: str, version: str, body: bytes) -> None:
    item = {
        "player_id": {"S": "anna"},
        "state_key": {"S": place},
        "version_vector": {"S": version},
        "body": {"B": body},
    }
    clients.write("dynamodb", "put_item", TableName=table, Item=item)


def test_changes_of_a_table(ministack: MiniStack) -> None:
    """Writes of rows come as changes, in order and from a position on. What is none is refused once, and passed over;
    if it cannot be put aside, it comes again.
    """
    clients = ministack.clients()
    table = make_rows_table(ministack)
    arn = clients.read("dynamodb", "describe_table", TableName=table)["Table"]["LatestStreamArn"]
    refused: list[str] = []
    away = [True]

    def refuse(record: Mapping[str, Any], error: InvalidUpdate) -> None:
        assert record["dynamodb"]["Keys"]["state_key"] == {"S": "no row"}
        if away:
            away.pop()
            raise Unavailable("dead letters")
        refused.append(error.code)

    put_row(clients, table, "gold#us-east-1", "us-east-1:1", b"1")
    put_row(clients, table, "no row", "us-east-1:1", b"2")
    put_row(clients, table, "gold#us-east-1", "us-east-1:2", b"3")
    shards = dynamodb_shards(clients, arn, refuse)
    (shard,) = shards.shards()
    reader = shards.reader(shard.shard_id, HORIZON)
    with pytest.raises(Unavailable):
        reader.read(10)
    batch = reader.read(10)
    key = Key("anna", "gold")
    assert [change._replace(position=0) for change in batch.records] == [
        Change(0, key, "us-east-1", None, b"1"),
        Change(0, key, "us-east-1", b"1", b"3"),
    ]
    assert (refused, batch.ended, batch.trimmed) == (["not_a_row"], False, False)
    put_row(clients, table, "gold#us-east-1", "us-east-1:3", b"4")
    for going_on in (reader, shards.reader(shard.shard_id, batch.position)):
        (change,) = going_on.read(10).records
        assert (change.old, change.new) == (b"3", b"4")


class TrimmedStream:
    """A DynamoDB stream with one record left, of which the service says that earlier ones have gone."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.refusals = ["iterator", "records"]

    def get_shard_iterator(self, *, ShardIteratorType: str, **_: Any) -> dict[str, Any]:
        if ShardIteratorType != "TRIM_HORIZON":
            raise answered("TrimmedDataAccessException")
        return {"ShardIterator": "horizon"}

    def get_records(self, *, ShardIterator: str, Limit: int) -> dict[str, Any]:
        if self.refusals.pop(0) == "iterator":
            raise answered("TrimmedDataAccessException")
        return {"Records": [{"dynamodb": self.record}], "NextShardIterator": "next"}


def test_a_stream_that_says_what_has_gone() -> None:
    """DynamoDB refuses what was trimmed, also between an iterator and its use: that is told, and passed over."""
    keys = {"player_id": {"S": "anna"}, "state_key": {"S": "gold#us-east-1"}}
    new = {**keys, "version_vector": {"S": "us-east-1:9"}, "body": {"B": b"9"}}
    stream = TrimmedStream({"Keys": keys, "NewImage": new, "OldImage": new, "SequenceNumber": "900"})
    shards = dynamodb_shards(clients_on(stream, "dynamodbstreams"), "arn", lambda *_: None)
    batch = shards.reader("s1", "100").read(10)
    assert ([change.position for change in batch.records], batch.position, batch.trimmed) == ([900], "900", True)
