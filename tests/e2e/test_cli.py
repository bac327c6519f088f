"""The command line, as the real program."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import playerstate
from e2e.program import COMMAND, LIMIT_S, Program, Served, run
from playerstate.backends.sqlite.store import SqliteStore
from playerstate.backends.sqlite.stream import SqliteStream
from playerstate.core.answers import Accepted, Rejected
from playerstate.core.model import Op, Update
from playerstate.core.wire import encode_record, encode_update
from playerstate.errors import InvalidUpdate
from playerstate.folder import DataFolder, starter_schema
from playerstate.ports.stream import NewRecord


def line(player_id: str, state_key: str = "experience", op: str = "add", **rest: Any) -> bytes:
    """An update as JSON; `add` without arguments adds 1. What begins with `_` belongs to the update."""
    update = {name[1:]: rest.pop(name) for name in list(rest) if name.startswith("_")}
    arguments = rest or ({"n": 1} if op == "add" else {})
    return json.dumps(
        {"ops": [{"player_id": player_id, "state_key": state_key, "op": op, **arguments}], **update}
    ).encode()


def value(served: Served, player_id: str, state_key: str) -> Any:
    return served.node.get(player_id, state_key).decoded()


def new_folder(path: Path, schema: str | None = None) -> Path:
    """A data folder as a node leaves it that has done nothing."""
    folder = DataFolder(path)
    folder.schema(schema)
    folder.close()
    return path


# -- the first five minutes


def test_a_new_folder_without_a_running_node(tmp_path: Path) -> None:
    """Commands open the node themselves: what one sent, the next shows, with how it came about."""
    sent = run("send", "ada", "gold", "add", "5", cwd=tmp_path)
    assert (sent.code, sent.err) == (0, "")
    assert sent.out.startswith("applied  (ada/gold, ")
    got = run("get", "ada", "--json", cwd=tmp_path)
    assert got.document() == {"player_id": "ada", "keys": {"gold": {"version": "local:1", "value": 5}}}
    told = run("history", "ada", cwd=tmp_path)
    assert "add +5" in told.out
    assert "0 → 5" in told.out
    assert (tmp_path / "data" / "folder.json").is_file()


def test_arguments_become_updates(served: Served) -> None:
    """What they mean follows from the key's type; a negative amount is no option."""
    calls = {
        "experience": ["add", "-5"],
        "inventory": ["add", "sword", "1"],
        "position": ["set", '{"x": 1.5}'],
        "friends": ["add", "bob", "eve"],
    }
    for key, arguments in calls.items():
        sent = served.run("send", "types", key, *arguments, "--json")
        assert sent.code == 0, sent
        assert sent.document()["outcome"] == {"status": "applied"}
    values = {key: view.decoded() for key, view in served.node.get_player("types").items()}
    assert values == {
        "experience": -5,
        "inventory": {"sword": 1},
        "position": {"x": 1.5},
        "friends": ["bob", "eve"],
    }


def test_what_is_refused_at_apply_is_an_outcome(served: Served) -> None:
    """An accepted update that did nothing ends with exit code 1, and the history says why."""
    version = json.loads(served.run("send", "poor", "gold", "add", "5", "--json").out)["outcome"]
    assert version == {"status": "applied"}
    refused = served.run("send", "poor", "gold", "subtract", "50")
    assert refused.code == 1
    assert refused.out.startswith("refused: insufficient  (poor/gold")
    conflict = served.run("send", "poor", "gold", "add", "1", "--if-version", "", "--json")
    assert conflict.code == 1
    assert conflict.document()["outcome"] == {"status": "conflict"}
    assert served.node.drain(timeout_s=LIMIT_S)
    history = served.run("history", "poor", "gold", "--limit", "2", "--json").document()["transitions"]
    causes = [cause for transition in history for cause in transition["causes"]]
    assert [(cause["status"], cause["reason"]) for cause in causes] == [("conflict", None), ("refused", "insufficient")]
    assert "refused: insufficient" in served.run("history", "poor").out


def test_a_repeat_is_harmless(served: Served) -> None:
    """Promise 2: the same producer and sequence takes effect once."""
    for _ in range(2):
        sent = served.run("send", "once", "gold", "add", "5", "--producer", "shop-1", "--sequence", "1")
        assert sent.code == 0
    assert value(served, "once", "gold") == 5


def test_get_shows_values_without_obeying_them(served: Served) -> None:
    """A player's text neither steers the terminal nor is taken for markup."""
    assert served.run("send", "[red]x", "guild", "set", '"[bold]\\u001b[2J\\u009b2J"').code == 0
    shown = served.run("get", "[red]x")
    assert "[red]x" in shown.out
    assert r'"[bold]\u001b[2J\u009b2J"' in shown.out
    assert served.run("get", "[red]x", "guild", "--json").document()["value"] == "[bold]\x1b[2J\x9b2J"
    assert "Nothing was ever written for nobody." in served.run("get", "nobody").out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_results_that_cannot_be_written(served: Served) -> None:
    """A full disk is said to be one."""
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, "get", "ada", "--json", "--data", str(served.data)]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 3
    assert ran.stderr == b"playerstate: [Errno 28] No space left on device\n"


# -- lines

BAD_LINES: dict[str, bytes] = {
    "not JSON": b"gold +5",
    "not UTF-8": line("bad").replace(b"bad", b"b\xff"),
    "no object": b"[1, 2]",
    "wrong type": line("bad", n=[1]),
    "wrong type of a field": b'{"ops": 5}',
    "unknown field": line("bad", amount=1),
    "unknown field of the update": line("bad", _priority=1),
    "unknown key": line("bad", "golf"),
    "unknown operation": line("bad", "gold", "steal", n=1),
    "missing argument": line("bad", "inventory", "add", n=1),
    "unexpected argument": line("bad", item="sword", n=1),
    "number beyond range": line("bad", n=10**40),
    "number out of the key's range": line("bad", "rank", "set", value=101),
    "negative amount": line("bad", "gold", n=-1),
    "fraction": line("bad", n=1.5),
    "NaN": line("bad", n=float("nan")),
    "infinity in a value": line("bad", "position", "set", value={"x": float("inf")}),
    "value too large": line("bad", "position", "set", value=["x" * 1000] * 20),
    "value too deep": line("bad", "position", "set", value=json.loads("[" * 20 + "]" * 20)),
    "text too long": line("bad", "guild", "set", value="x" * 65),
    "nested without end": b'{"ops": ' + b"[" * 100_000,
    "too many operations": json.dumps({"ops": json.loads(line("bad"))["ops"] * 10_000}).encode(),
    "line too long": b'{"ops": "' + b"x" * 2_000_000 + b'"}',
    "no operations": b'{"ops": []}',
    "no ops at all": b"{}",
    "forbidden character": line("b{a}d"),
    "control character": line("b\nad"),
    "empty name": line(""),
    "lone surrogate": line("bad", "position", "set", value="x").replace(b'"x"', b'"\\ud800"'),
    "sent long ago": line("bad", _sent_at=1),
    "sent in the future": line("bad", _sent_at=2**45),
    "sequence 0": line("bad", _producer="p", _sequence=0),
    "sequence below 0": line("bad", _producer="p", _sequence=-1),
    "sequence without producer": line("bad", _sequence=3),
    "accept's own producer": line("bad", _producer="@p", _sequence=3),
    "not a version": line("bad", _if_version="new"),
    "half-written": line("bad")[:-20],
}


def test_bad_lines_do_not_stop_the_others(served: Served) -> None:
    """Promise 10: each bad line is reported with its number, in the words of every other way in; the others apply."""
    lines = [part for bad in BAD_LINES.values() for part in (line("good"), bad)]  # the half-written one is the last
    sent = served.run("send", "-", "--wait", "--json", stdin=b"\n".join(lines))
    assert sent.code == 1
    assert value(served, "good", "experience") == len(BAD_LINES)
    assert served.node.get_player("bad") == {}
    summary = sent.document()
    assert summary["accepted"] == summary["rejected"] == len(BAD_LINES)
    assert summary["outcomes"] == {"applied": len(BAD_LINES)}
    reported = {error["line"]: error["error"] for error in sent.errors()}
    assert list(reported) == list(range(2, 2 * len(BAD_LINES) + 1, 2))
    for (name, bad), error in zip(BAD_LINES.items(), reported.values(), strict=True):
        if name == "line too long":
            assert error["code"] == "too_large"
            continue
        answer = served.node.send(bad)
        assert isinstance(answer, Rejected), name
        assert error == {"code": answer.code, "message": answer.message, "where": answer.where}, name


def test_words_are_the_same_in_process(served: Served, tmp_path: Path) -> None:
    """A node in this process refuses with the same words as one that is reached over its socket."""
    with playerstate.open(tmp_path / "data") as node:
        for name, bad in BAD_LINES.items():
            assert node.send(bad) == served.node.send(bad), name
            if name not in ("not UTF-8", "lone surrogate"):
                assert node.send(bad.decode()) == served.node.send(bad.decode()), name
        with pytest.raises(InvalidUpdate) as in_process:
            node.get("ada", "golf")
        with pytest.raises(InvalidUpdate, match=f"^{re.escape(str(in_process.value))}$"):
            node.history("ada", "golf")
    for command in ("get", "history"):
        shown = served.run(command, "ada", "golf", "--json")
        assert shown.code == 1
        assert shown.errors() == [
            {"error": {"code": "unknown_key", "message": str(in_process.value), "where": "$.state_key"}}
        ]


def test_lines_for_people(served: Served, tmp_path: Path) -> None:
    """Without --json the summary and the reports are lines of text; a file works as standard input does."""
    file = tmp_path / "updates.ndjson"
    file.write_bytes(line("people") + b"\r\n\n" + b"?\n" + line("people", "gold", "subtract", n=3))
    sent = served.run("send", "--file", str(file), "--wait")
    assert sent.code == 1
    assert "2 accepted, 1 rejected, as producer cli-" in sent.out
    assert [words.split(": ")[:2] for words in sent.err.splitlines()] == [
        ["line 3", "malformed"],
        ["line 4", "refused"],
    ]


def test_the_same_lines_again_change_nothing(served: Served) -> None:
    """Promise 2: identities follow from the lines, so a file can be sent again as the same producer."""
    lines = b"\n".join([line("again"), line("again", n=10), line("again", "gold", n=3), line("again", n=100)])
    for _ in range(2):
        sent = served.run("send", "-", "--producer", "import-7", "--wait", "--json", stdin=lines)
        assert (sent.code, sent.document()["outcomes"]) == (0, {"applied": 4})
    assert value(served, "again", "experience") == 111
    assert value(served, "again", "gold") == 3


def test_every_refusal_of_many_is_told(served: Served) -> None:
    """A row remembers a bounded number of a producer's refusals, so they are asked for before they are forgotten."""
    lines = b"\n".join([line("broke", "gold", "subtract", n=5)] * 100)
    sent = served.run("send", "-", "--wait", "--json", stdin=lines)
    assert sent.document()["outcomes"] == {"refused: insufficient": 100}


def test_a_person_sees_how_far_it_is(served: Served) -> None:
    """A progress bar on standard error where that is a terminal; the result alone on standard output."""
    terminal, other_end = pty.openpty()
    try:
        command = [*COMMAND, "send", "-", "--data", str(served.data)]
        ran = subprocess.run(command, input=line("bar"), stdout=subprocess.PIPE, stderr=other_end, check=True)
        assert ran.stdout.startswith(b"1 accepted, 0 rejected")
        assert b"updates" in os.read(terminal, 65536)
    finally:
        os.close(terminal)
        os.close(other_end)


@pytest.mark.parametrize("text", [b"", b"\n\n"])
def test_no_lines_are_no_mistake(served: Served, tmp_path: Path, text: bytes) -> None:
    """Nothing to send is done when nothing was sent: no complaint, and exit code 0."""
    (tmp_path / "empty.ndjson").write_bytes(text)
    for sent in (served.run("send", "-", stdin=text), served.run("send", "--file", str(tmp_path / "empty.ndjson"))):
        assert (sent.code, sent.err) == (0, "")
        assert sent.out.startswith("0 accepted, 0 rejected")
    summary = served.run("send", "-", "--wait", "--json", stdin=text).document()
    assert (summary["lines"], summary["accepted"], summary["rejected"]) == (0, 0, 0)


# -- watching


@pytest.mark.parametrize("as_json", [True, False])
def test_watch_shows_a_change(served: Served, tmp_path: Path, as_json: bool) -> None:
    """What is sent while somebody watches is shown, and `--count` ends it."""
    flags = ["--json"] if as_json else []
    watching = Program("watch", "seen", "--count", "1", "--data", str(served.data), *flags, log=tmp_path / "log")
    try:
        deadline = time.monotonic() + LIMIT_S
        while watching.process.poll() is None:  # it may not watch yet when the first is sent
            assert time.monotonic() < deadline, "nothing was seen"
            assert isinstance(served.node.send(line("seen", "rank", "set", value=7)), Accepted)
            time.sleep(0.1)
        assert watching.process.returncode == 0
        assert watching.process.stdout
        shown = watching.process.stdout.read().decode()
    finally:
        watching.abandon()
    if as_json:
        assert json.loads(shown).items() >= {"player_id": "seen", "state_key": "rank", "value": 7}.items()
    else:
        assert "rank = 7" in shown


def test_watch_ends_with_ctrl_c_and_in_time(served: Served, tmp_path: Path) -> None:
    """Ctrl-C is how a person ends it, and no error; neither is time running out."""
    watching = Program("watch", "unseen", "--data", str(served.data), "--json", log=tmp_path / "log")
    try:
        deadline = time.monotonic() + LIMIT_S
        while not has_shown_something(watching, served):
            assert time.monotonic() < deadline, "it does not watch"
        assert watching.end(signal.SIGINT) == 0
    finally:
        watching.abandon()
    assert (tmp_path / "log").read_text() == ""
    assert served.run("watch", "quiet", "--seconds", "0.2").out == ""


def has_shown_something(watching: Program, served: Served) -> bool:
    """Whether the watcher has; it is given something to see."""
    served.node.send(line("unseen"))
    return bool(select.select([watching.process.stdout], [], [], 0.1)[0])


def test_one_bad_update_is_refused_in_the_same_words(served: Served) -> None:
    """From arguments and as JSON."""
    answer = served.node.send(line("ada", "golf"))
    assert isinstance(answer, Rejected)
    for arguments in (["ada", "golf", "add", "1"], ["--json-update", line("ada", "golf").decode()]):
        sent = served.run("send", *arguments)
        assert (sent.code, sent.out) == (1, "")
        assert sent.err == f"rejected (unknown_key): {answer.message}\n"


# -- serving


def test_every_process_logs_as_told(tmp_path: Path) -> None:
    """The level and the form that were asked for hold for the workers too."""
    node = Served(tmp_path / "data", "--json", "--log-level", "debug")
    try:
        assert node.end(signal.SIGTERM) == 0
        logged = [json.loads(entry) for entry in node.log.read_text().splitlines()]
        assert {entry.get("role") for entry in logged if entry["level"] == "debug"} == {"apply", "follow"}
    finally:
        node.abandon()


def test_nothing_acknowledged_is_lost_by_a_stop(tmp_path: Path) -> None:
    """Promise 1: SIGTERM in the middle, SIGINT while it stops, exit code 0; what was accepted is there afterwards."""
    node = Served(tmp_path / "data", "--json", "--region", "eu-1")
    try:
        lines = b"\n".join(line(f"player-{n % 7}") for n in range(3000))
        sent = node.run("send", "-", "--json", stdin=lines)
        assert sent.document()["accepted"] == 3000
        assert node.end(signal.SIGTERM, signal.SIGINT, signal.SIGINT) == 0
        assert node.process.stdout
        assert json.loads(node.process.stdout.read()) == {
            "serving": str(tmp_path / "data"),
            "region": "eu-1",
            "pid": node.process.pid,
            "game": "starter",
        }
        logged = [json.loads(entry) for entry in node.log.read_text().splitlines()]
        assert [entry["event"] for entry in logged] == ["serving", "stopping", "stopped"]
        assert "player-" not in node.log.read_text()
    finally:
        node.abandon()
    with playerstate.open(tmp_path / "data") as reopened:
        assert reopened.drain(timeout_s=LIMIT_S)
        assert sum(reopened.get(f"player-{n}", "experience").decoded() for n in range(7)) == 3000


def test_a_second_node_is_refused(served: Served) -> None:
    """A folder has one node."""
    second = served.run("serve", "--json")
    assert second.code == 1
    error = second.errors()[-1]["error"]
    assert error["code"] == "folder_in_use"
    assert str(served.process.pid) in error["message"]


def written_by_a_newer_version(data: Path) -> None:
    about = json.loads((data / "folder.json").read_text())
    (data / "folder.json").write_text(json.dumps({**about, "format": 99}))


def with_a_newer_file(data: Path) -> None:
    SqliteStore(data / "store.db").close()
    with sqlite3.connect(data / "store.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize("change", [written_by_a_newer_version, with_a_newer_file])
def test_a_newer_versions_folder_is_refused(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """It is not touched, and the message says so; to `serve` it is a refusal, to others no node."""
    data = new_folder(tmp_path / "data")
    change(data)
    for command, code in (["serve"], 1), (["get", "ada"], 3):
        refused = run(*command, "--data", str(data))
        assert refused.code == code
        assert "written by a newer version of playerstate" in refused.err
        assert "99" in refused.err


def test_an_older_versions_folder_is_refused(tmp_path: Path) -> None:
    """It is told at the start, and not by a stage that fails for ever."""
    data = new_folder(tmp_path / "data")
    SqliteStore(data / "store.db").close()
    with sqlite3.connect(data / "store.db") as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    refused = run("serve", "--data", str(data))
    assert (refused.code, "written by an older version of playerstate" in refused.err) == (1, True)


def test_a_keys_type_cannot_change(tmp_path: Path) -> None:
    """The reason is told at start-up, by `schema check` before that, and the folder stays as it was."""
    data = new_folder(tmp_path / "data")
    changed = tmp_path / "changed.toml"
    changed.write_text(starter_schema().replace('"bounded_counter"', '"counter"').replace("version = 1", "version = 2"))
    for command in (["serve", "--schema", str(changed)], ["schema", "check", str(changed)]):
        refused = run(*command, "--data", str(data))
        assert refused.code == 1
        assert "keys.gold is stored as bounded_counter and cannot become counter" in refused.err
    assert (data / "game.toml").read_text() == starter_schema()


def test_a_damaged_row_stops_the_node(tmp_path: Path) -> None:
    """A broken promise is not worked around: `serve` says what it met, and ends with exit code 1."""
    data = tmp_path / "data"
    with playerstate.open(data) as node:
        answer = node.send(line("ada"))
        assert isinstance(answer, Accepted)
        assert node.outcome(answer.identity, wait_s=LIMIT_S)
    with sqlite3.connect(data / "store.db") as connection:
        connection.execute("UPDATE rows SET body = x'c1'")
    connection.close()
    served = Served(data)
    try:
        served.node.send(line("ada"))
        assert served.end() == 1
        assert "A stage has halted" in served.log.read_text()
    finally:
        served.abandon()


# -- dead letters


def test_dead_letters_and_sending_again(tmp_path: Path) -> None:
    """Promise 10: what stands on the stream and cannot be ends as a letter; what was put right is sent again."""
    data = new_folder(tmp_path / "data")
    mana = Update([Op("ada", "mana", "add", n=3)], "game-1", 1, time.time_ns() // 1_000_000)
    gold = Update([Op("ada", "gold", "add", n=3)], "game-1", 1, mana.sent_at)
    stream = SqliteStream(data / "stream.db")
    bodies = [b"\xc1garbage", encode_record(mana.sent_at, [encode_update(mana), b"\xc0", encode_update(gold)])]
    stream.append([NewRecord("ada", body) for body in bodies])
    stream.close()

    listed = run("dead-letters", "list", "--json", "--data", str(data)).document()["dead_letters"]
    assert [letter["code"] for letter in listed] == ["malformed", "unknown_key", "wrong_shape"]
    assert "The schema has no key 'mana'" in listed[1]["reason"]
    assert listed[1]["identity"] == {"producer": "game-1", "sequence": 1, "player_id": "ada", "state_key": "mana"}

    schema = tmp_path / "game.toml"
    with_mana = starter_schema().replace("version = 1", "version = 2") + '\n[keys.mana]\ntype = "counter"\n'
    schema.write_text(with_mana)
    served = Served(data, "--schema", str(schema))
    try:
        assert value(served, "ada", "gold") == 3
        malformed, unknown_key, wrong_shape = (letter["letter_id"] for letter in listed)
        assert "unknown_key" in served.run("dead-letters", "list").out
        assert '"state_key":"mana"' in served.run("dead-letters", "show", unknown_key).out
        assert "garbage" in served.run("dead-letters", "show", malformed).out
        hopeless = served.run("dead-letters", "send-again", malformed, "--json")
        assert (hopeless.code, hopeless.errors()[0]["error"]["code"]) == (1, "malformed")
        again = served.run("dead-letters", "send-again", unknown_key, "--json")
        assert again.code == 0
        assert again.document()["answers"][0]["outcome"] == {"status": "applied"}
        assert value(served, "ada", "mana") == 3
        left = served.run("dead-letters", "list", "--json").document()["dead_letters"]
        assert [letter["letter_id"] for letter in left] == [malformed, wrong_shape]
        gone = served.run("dead-letters", "show", unknown_key, "--json").document()
        assert (gone["end"], gone["sent_as"][0]["outcome"]) == ("sent_again", {"status": "applied"})
        never = served.run("dead-letters", "show", "stream-9", "--json")
        assert (never.code, never.errors()[0]["error"]["code"]) == (1, "unknown_letter")
        assert served.end(signal.SIGTERM) == 0
    finally:
        served.abandon()


# -- replay


def test_replay_needs_its_own_schema(served: Served) -> None:
    """A folder with another game's schema is refused, before anything is sent."""
    refused = served.run("replay", "--format", "elite-journal", "/dev/null")
    assert refused.code == 1
    assert "needs exactly its own" in refused.err
