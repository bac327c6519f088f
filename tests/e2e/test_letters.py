"""Dead letters and retention on running nodes: sent again, discarded, expired, killed in the middle, under traffic."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import playerstate
from e2e import served
from e2e.program import LIMIT_S, Served, run
from playerstate.api import PlayerState
from playerstate.backends.sqlite.stream import SqliteStream
from playerstate.client import find_node
from playerstate.core.answers import Accepted
from playerstate.core.letters import End
from playerstate.core.model import Identity, Op, Outcome, Status, Update
from playerstate.core.wire import encode_record, encode_update
from playerstate.errors import InvalidUpdate, PlayerStateError
from playerstate.folder import starter_schema
from playerstate.node import Node, Options
from playerstate.ports.stream import NewRecord
from waiting import wait_until

WITH_MANA = starter_schema().replace("version = 1", "version = 2") + '\n[keys.mana]\ntype = "counter"\n'


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def folder_with_letters(data: Path, count: int) -> list[str]:
    """A folder whose node has put so many updates of a key that it did not know aside: 1, 2, 3, ... of mana for ada."""
    playerstate.open(data).close()
    stream = SqliteStream(data / "stream.db")
    updates = [Update([Op("ada", "mana", "add", n=n)], "game-1", n, now_ms()) for n in range(1, count + 1)]
    stream.append([NewRecord("ada", encode_record(now_ms(), [encode_update(update)])) for update in updates])
    stream.close()
    with playerstate.open(data) as node:
        assert node.drain(timeout_s=LIMIT_S)
        return [letter.letter_id for letter in node.dead_letters(limit=10_000)]


def test_discarded_and_sent_again_by_commands(tmp_path: Path) -> None:
    """Promise 10: one, some, or all that are meant; each is on record with what became of it, also over restarts."""
    data, schema = tmp_path / "data", tmp_path / "game.toml"
    ids = folder_with_letters(data, 6)
    schema.write_text(WITH_MANA)
    node = Served(data, "--schema", str(schema))
    try:
        listed = node.run("dead-letters", "list", "--stage", "apply", "--player", "ada", "--json").document()
        assert (len(listed["dead_letters"]), listed["count"], listed["by_stage"]) == (6, 6, {"apply": 6})
        assert 0 < listed["dead_letters"][0]["age_s"] <= listed["oldest_s"] + 1
        assert "6 in all: 6 of apply" in node.run("dead-letters", "list").out
        assert "None of the dead letters" in node.run("dead-letters", "list", "--older-than", "1d").out
        assert node.run("dead-letters", "discard", ids[0], "--reason", "").code == 1
        discarded = node.run("dead-letters", "discard", ids[0], "--reason", "twice", "--json").document()
        assert (discarded["letter_id"], discarded["end"], discarded["reason"]) == (ids[0], "discarded", "twice")
        two = node.run("dead-letters", "discard", ids[1], "nothing", ids[2], "--reason", "those too")
        assert two.code == 1
        assert "2 of 3 dead letters discarded" in two.out
        assert "unknown_letter" in two.out
        unsure = node.run("dead-letters", "send-again", "--all", stdin=b"n\n")
        assert (unsure.code, unsure.out) == (1, "")
        assert "Send 3 dead letters again?" in unsure.err
        again = node.run("dead-letters", "send-again", "--all", "--code", "unknown_key", "--yes")
        assert again.code == 0
        assert "3 of 3 dead letters sent again" in again.out
        assert node.node.get("ada", "mana").decoded() == 4 + 5 + 6
        assert node.run("dead-letters", "send-again", ids[4]).code == 1
        assert node.end(signal.SIGTERM) == 0
    finally:
        node.abandon()
    gone = run("dead-letters", "list", "--gone", "--json", "--data", str(data)).document()["gone_letters"]
    assert [(one["letter_id"], one["end"]) for one in gone] == [
        *[(letter_id, "discarded") for letter_id in ids[:3]],
        *[(letter_id, "sent_again") for letter_id in ids[3:]],
    ]
    assert gone[5]["sent_as"][0]["outcome"] == {"status": "applied"}
    assert gone[5]["sent_as"][0]["producer"].startswith(f"replay:{ids[5]}:")
    assert gone[0]["identity"] == {"producer": "game-1", "sequence": 1, "player_id": "ada", "state_key": "mana"}
    shown = run("dead-letters", "show", ids[4], "--data", str(data))
    assert (shown.code, "sent again" in shown.out, "applied" in shown.out) == (0, True, True)
    table = run("dead-letters", "list", "--gone", "--data", str(data), "--after", "3").out
    assert "discarded" not in table
    assert table.count("sent again") == 3


def test_letters_whose_key_has_no_room_stay(tmp_path: Path) -> None:
    """Nothing of them is sent, so that they can be sent again when there is room. Promise 1."""
    data, schema = tmp_path / "data", tmp_path / "game.toml"
    folder_with_letters(data, 3)
    stream = SqliteStream(data / "stream.db")
    head = stream.head()
    stream.close()
    schema.write_text(WITH_MANA)
    node = Served(data, "--schema", str(schema))
    try:
        node.node.drain(timeout_s=LIMIT_S)
        for n in range(256):  # so that the key has no room for another producer
            node.node.send(Update([Op("ada", "mana", "add", n=0)], f"p{n}", 1, now_ms()))
        assert node.node.drain(timeout_s=LIMIT_S)
        ran = node.run("dead-letters", "send-again", "--all", "--yes", "--json")
        assert ran.code == 1
        *letters, summary = ran.out.splitlines()
        assert [one.count('"code":"too_many_producers"') for one in letters] == [1, 1, 1]
        assert '{"done":0,"of":3}' in summary
        assert node.node.stats().dead_letters_by_stage == {"apply": 3}
        assert head == 3
    finally:
        node.abandon()


KILLS = 5


def try_once(client: PlayerState, letter_id: str) -> bool:
    """Send a letter again; False if nobody knows whether that was done."""
    try:
        try:
            client.send_again(letter_id)
        except InvalidUpdate:
            return client.gone_letter(letter_id) is not None
    except PlayerStateError:
        return False
    return True


def test_kill_9_while_letters_are_sent_again(tmp_path: Path) -> None:
    """Promise 2: whatever is killed whenever, every letter takes effect once, and each is on record."""
    data, schema = tmp_path / "data", tmp_path / "game.toml"
    ids = folder_with_letters(data, 200)
    schema.write_text(WITH_MANA)
    (data / "settings.toml").write_text("[retention]\nhistory_bytes_max = 1_000_000\nstream_hours = 0.0001\n")
    node = served.Served(data, "--schema", str(schema))
    chance = random.Random(7)
    left, kills = list(ids), 0
    deadline = time.monotonic() + 2 * LIMIT_S
    try:
        while left:
            assert time.monotonic() < deadline, f"{len(left)} letters are left"
            killer = threading.Timer(chance.uniform(0, 0.05), node.kill, kwargs={"everything": chance.random() < 0.5})
            with node.connect() as client:
                if kills < KILLS:
                    killer.start()
                while left:
                    if try_once(client, left[0]):
                        left.pop(0)
                    elif killer.ident:
                        break
            if killer.ident:
                killer.join()
                kills += 1
        with node.connect() as client:
            assert client.drain(timeout_s=LIMIT_S)
            assert client.get("ada", "mana").decoded() == sum(range(1, 201))
            gone = client.gone_letters(limit=1_000)
            assert [one.letter_id for one in gone] == ids
            assert {one.ending.end for one in gone} == {End.SENT_AGAIN}
        assert kills >= KILLS - 1
    finally:
        node.stop()


def test_retention_while_updates_flow(tmp_path: Path) -> None:
    """Nothing that has to be processed goes; history and stream stay within their bounds; letters expire."""
    data = tmp_path / "data"
    folder_with_letters(data, 3)
    (data / "settings.toml").write_text(
        "[retention]\nhistory_bytes_max = 1_000_000\nstream_hours = 0.00001\ndead_letters_days = 0.00001\n"
    )
    with Node(data) as node:
        sent, answer = 0, None
        retained = {"history_bytes", "stream", "changes", "dead_letters"}
        deadline = time.monotonic() + 2 * LIMIT_S
        while any(
            node.stats().retention.get(name) is None or not node.stats().retention[name].deleted for name in retained
        ):
            assert time.monotonic() < deadline, node.stats().retention
            batch = [
                {"ops": [{"player_id": f"p{n}", "state_key": "loadout", "op": "set", "value": "x" * 500}]}
                for n in range(50)
            ]
            answer = node.service.send_many(batch)[-1]
            sent += 50
        assert isinstance(answer, Accepted)
        assert node.service.outcome(answer.identity, wait_s=LIMIT_S) == Outcome(Status.APPLIED)
        assert node.service.drain(timeout_s=LIMIT_S)
        wait_until(lambda: node.parts.audit.bytes() <= 1_000_000, "the history is too large")
        wait_until(lambda: len(node.parts.stream.read(0, 10_000)) == 0, "processed records stay")
        wait_until(lambda: len(node.parts.changes.read(0, 10_000)) == 0, "processed changes stay")
        assert node.parts.audit.complete_since() > 0
        assert node.stats().outcomes["applied"] == sent
        stats = node.stats()
        assert (stats.dead_letters, stats.dead_letters_oldest_s) == (0, 0.0)
        assert [one.ending.end for one in node.service.gone_letters()] == [End.EXPIRED] * 3
        assert node.service.outcome(Identity("game-1", 1, "ada", "gold")) is None
    with Node(data, options=Options(workers="thread")) as node:
        assert node.parts.audit.complete_since() > 0
        assert node.service.drain(timeout_s=LIMIT_S)


# -- settings


def test_wrong_settings_at_the_start_and_later(tmp_path: Path) -> None:
    """At the start they are refused with the reason; later what was in force holds, also for a worker that is new."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    settings = data / "settings.toml"
    settings.write_text("[retention]\nhistory_days = -3\n")
    refused = run("serve", "--data", str(data), "--json")
    assert refused.code == 1
    assert "`float` > 0.0 - at `$.retention.history_days`" in refused.err
    settings.write_text("[retention]\nhistory_days = 700\n")
    node = Served(data)
    try:
        shown = node.run("settings", "--json")
        assert shown.document()["settings"]["retention.history_days"] == {
            "value": 700.0,
            "default": 365.0,
            "is_set": True,
        }
        assert shown.code == 0
        settings.write_text("[retention]\nhistory_days = 'long'\n")
        wrong = node.run("settings", "--json")
        assert wrong.code == 1
        assert wrong.document()["settings"]["retention.history_days"]["value"] == 700.0
        assert "got `str`" in wrong.document()["problem"]
        table = node.run("settings")
        assert "700.0" in table.out
        assert "is wrong" in table.err
        children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
        workers = [pid for pid in children if b"playerstate.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        for pid in workers:
            os.kill(int(pid), signal.SIGKILL)
        node.node.send(Update([Op("ada", "gold", "add", n=3)], "p", 1, now_ms()))
        outcome = node.node.outcome(Identity("p", 1, "ada", "gold"), wait_s=20)
        assert outcome == Outcome(Status.APPLIED)
        assert node.end(signal.SIGTERM) == 0
    finally:
        node.abandon()
    alone = run("settings", "--data", str(data), "--json")
    assert (alone.code, "settings.toml" in alone.err) == (3, True)
    assert find_node(data) is None
