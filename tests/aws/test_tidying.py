"""Retention on AWS: a step at each call, of what lies in the control table."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from aws.tables import clients_of, make_control_table
from builders import NOW_MS, letter
from conformance.findings import found
from ministack import MiniStack
from playerstate.aws import tidying
from playerstate.aws.tidying import COUNT_FINDINGS_EVERY_MS, DAY_MS, LETTERS_AT_ONCE, Tidying
from playerstate.backends.aws.control import Control
from playerstate.backends.aws.dead_letters import DynamoDeadLetters
from playerstate.backends.aws.findings import DynamoFindings
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.findings import MemoryFindings
from playerstate.core.letters import End, Ending
from playerstate.errors import Unavailable
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.findings import Findings
from playerstate.settings import Retention

DISCARDED = Ending(End.DISCARDED, NOW_MS, "a test")


class Kept(NamedTuple):
    """What is kept, and the step over it."""

    letters: DeadLetters
    findings: Findings
    clock: ManualClock
    step: Tidying


@pytest.fixture
def kept() -> Kept:
    return keep(MemoryDeadLetters(), MemoryFindings())


def keep(letters: DeadLetters, findings: Findings) -> Kept:
    clock = ManualClock(NOW_MS)
    return Kept(letters, findings, clock, Tidying(letters, findings, clock))


def test_what_is_too_old_goes(ministack: MiniStack) -> None:
    """Letters, the record of them, and findings, each at its age, as with a node's settings where nothing is set."""
    control = Control(clients_of(ministack), make_control_table(ministack))
    kept = keep(DynamoDeadLetters(control), DynamoFindings(control))
    kept.letters.put([letter("old"), structs.replace(letter("young"), at=NOW_MS + 1), letter("gone")])
    kept.letters.end("gone", DISCARDED)
    kept.findings.put([found(0), found(1)])
    days = Retention()
    nothing = {"dead_letters": 0, "gone_letters": 0, "findings": 0, "findings_count": 0}
    kept.clock.set(NOW_MS + int(days.dead_letters_days * DAY_MS))
    assert kept.step() == nothing
    kept.clock.advance(1)
    assert kept.step() == {**nothing, "dead_letters": 1, "gone_letters": 1}
    assert [one.letter_id for one in kept.letters.list()] == ["young"]
    assert [(gone.letter_id, gone.ending.end) for gone in kept.letters.gone()] == [("old", End.EXPIRED)]
    kept.clock.set(NOW_MS + int(days.findings_days * DAY_MS))
    assert kept.step()["findings"] == 0
    kept.clock.advance(1)
    assert kept.step()["findings"] == 1
    assert kept.findings.list() == [found(1)]


def test_records_are_kept_as_long_as_rows_remember_producers() -> None:
    """Promise 2: however short letters are kept, an update stays dead as long as it can come again."""
    letters, clock = MemoryDeadLetters(), ManualClock(NOW_MS)
    step = Tidying(letters, MemoryFindings(), clock, Retention(dead_letters_days=0.5))
    letters.put([letter("1")])
    letters.end("1", DISCARDED)
    clock.set(NOW_MS + 2 * DAY_MS)
    assert step()["gone_letters"] == 0
    clock.advance(1)
    assert step()["gone_letters"] == 1


def test_what_is_too_much_goes(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """However young it is; findings are counted now and then only, for all of them are read for it."""
    for name, value in (("LETTERS_MAX", 3), ("GONE_LETTERS_MAX", 2), ("FINDINGS_MAX", 4)):
        monkeypatch.setattr(tidying, name, value)
    kept.letters.put([letter(f"{n}") for n in range(8)])
    kept.findings.put([found(n) for n in range(6)])
    assert kept.step() == {"dead_letters": 5, "gone_letters": 3, "findings": 0, "findings_count": 2}
    kept.findings.put([found(n) for n in range(6, 9)])
    kept.clock.advance(COUNT_FINDINGS_EVERY_MS - 1)
    assert kept.step()["findings_count"] == 0
    kept.clock.advance(1)
    assert kept.step()["findings_count"] == 3


def test_a_step_is_bounded(kept: Kept) -> None:
    """A function has its time; the next call goes on."""
    kept.letters.put([letter(f"{n}") for n in range(2 * LETTERS_AT_ONCE + 5)])
    kept.clock.advance(400 * DAY_MS)
    steps = [kept.step() for _ in range(4)]
    assert [went["dead_letters"] for went in steps] == [LETTERS_AT_ONCE, LETTERS_AT_ONCE, 5, 0]
    kept.clock.advance(400 * DAY_MS)
    steps = [kept.step() for _ in range(4)]
    assert [went["gone_letters"] for went in steps] == [LETTERS_AT_ONCE, LETTERS_AT_ONCE, 5, 0]


def test_that_letters_have_expired_is_said(kept: Kept) -> None:
    """They went unseen; how many, and nothing of what they held."""
    kept.letters.put([letter("1"), letter("2")])
    kept.clock.advance(15 * DAY_MS)
    with capture_logs() as logs:
        kept.step()
        kept.step()
    assert logs == [{"event": "dead letters have expired", "letters": 2, "log_level": "warning"}]


RULES = [
    ("expire", "dead_letters"),
    ("forget", "gone_letters"),
    ("trim", "findings"),
    ("bound", "findings_count"),
]


@pytest.mark.parametrize(("call", "rule"), RULES)
@pytest.mark.parametrize("error", [Unavailable("away"), ValueError("a fault")], ids=["away", "fault"])
def test_what_fails_is_said_and_tried_again(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, call: str, rule: str, error: Exception
) -> None:
    """It stops neither what comes behind it nor the function, and the next call tries it again."""

    def fail(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(tidying, "FINDINGS_MAX", 3 if call == "trim" else 1)
    kept.letters.put([letter("1"), letter("2")])
    kept.letters.end("2", DISCARDED)
    kept.findings.put([found(0), found(400 * DAY_MS), found(400 * DAY_MS + 1)])
    kept.clock.advance(400 * DAY_MS)
    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(kept.letters if hasattr(kept.letters, call) else kept.findings, call, fail)
        went = kept.step()
    expected = {name: 1 for _, name in RULES if name != rule}
    assert went == ({**expected, "findings_count": 0} if call == "trim" else expected)
    (said,) = [line for line in logs if line.get("rule")]
    assert (said["rule"], said["log_level"]) == (rule, "warning" if isinstance(error, Unavailable) else "error")
    assert said["event"].startswith("retention ")
    assert kept.step()[rule] == 1


def test_a_function_can_afford_it() -> None:
    """It brings no database and nothing of the processes of a node, which a function would start with."""
    program = "import sys, playerstate.aws.tidying; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60, text=True)
    modules = ran.stdout.split()
    assert "playerstate.aws.tidying" in modules
    assert not {"sqlite3", "multiprocessing", "botocore", "redis"}.intersection(modules)
    parts = ("playerstate.runtime", "playerstate.stages", "playerstate.backends")
    assert [name for name in modules if name.startswith(parts)] == []
