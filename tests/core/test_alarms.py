"""Alarms: each fires and ends, at its threshold and not beside it, and nothing that flickers does either."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from playerstate.core.alarms import Judge
from playerstate.core.answers import (
    AcceptStats,
    Alarm,
    ProcessStats,
    RetentionStats,
    Severity,
    StageStats,
    Stats,
    VerificationStats,
)
from playerstate.core.looks import KEPT_S, Looks
from playerstate.core.rules import RULES, Rule
from playerstate.settings import Alarms

THRESHOLDS: dict[str, float] = msgspec.structs.asdict(Alarms())
RULE = {rule.name: rule for rule in RULES}
AT_MS = 1_700_000_000_000


def stats(**fields: Any) -> Stats:
    """Figures of a node that is well, but for what is said."""
    well = ProcessStats(disk_bytes=10**12, disk_free_bytes=5 * 10**11)
    return Stats("eu", **{"stages": {"apply": StageStats()}, "outcomes": {}, "freshness_ms": {}, "dead_letters": 0,
                          "rows_written": 0, "process": well, **fields})  # fmt: skip


def process(**fields: Any) -> Stats:
    """Figures of a node whose process or machine is not well."""
    return stats(process=msgspec.structs.replace(stats().process, **fields))


class Watched:
    """A node that is looked at every second."""

    def __init__(self, **thresholds: float) -> None:
        self.now_s = 1000.0
        self._looks = Looks()
        self._judge = Judge()
        self._thresholds = {**THRESHOLDS, **thresholds}

    def look(self, now: Stats) -> list[Alarm]:
        seen = self._looks.add(now, self.now_s)
        alarms = self._judge.judge(seen, self._thresholds, at_ms=AT_MS + int(self.now_s * 1000))
        self.now_s += 1.0
        return alarms

    def names(self, now: Stats, *, for_s: int = 1) -> list[str]:
        """The alarms after so many looks at the same figures."""
        alarms: list[Alarm] = []
        for _ in range(for_s):
            alarms = self.look(now)
        return [alarm.name for alarm in alarms]


def apply(**fields: Any) -> Stats:
    return stats(stages={"apply": StageStats(**fields)})


def verification(**fields: Any) -> Stats:
    return stats(verification=VerificationStats(**fields))


COUNTS: dict[str, Callable[[int], Stats]] = {
    "stage_behind": lambda n: apply(lag=n, processed=n),
    "findings_open": lambda n: verification(open=n),
    "findings_new": lambda n: verification(findings={"cache:stale": n}),
    "verification_shedding": lambda n: verification(shed=n),
    "dead_letters": lambda n: stats(dead_letters=n),
    "dead_letters_new": lambda n: stats(dead_letters=n),
    "rights_refused": lambda n: stats(outcomes={"refused:rights_elsewhere": n}),
    "conflicts": lambda n: stats(conflicts_resolved=n),
    "way_behind": lambda n: stats(links={"us": n}),
    "clock_skew": lambda n: stats(accept=AcceptStats(senders_ahead_s=n)),
    "cache_restarted": lambda n: process(cache_restarts=n),
    "worker_restarted": lambda n: process(worker_restarts=n),
    "dead_letters_old": lambda n: stats(dead_letters_oldest_s=n * 86_400),
}
"""Alarms that go by a number, and figures with that number in them."""


@pytest.mark.parametrize("name", COUNTS)
def test_an_alarm_fires_at_its_threshold_and_ends_below(name: str) -> None:
    """Not one below it; and not for good: after the minute, or the ten, that it looks back on, there is none."""
    rule, make = RULE[name], COUNTS[name]
    threshold = int(THRESHOLDS[rule.setting])
    waiting = int(rule.for_s) + 1
    looks_back_s = 60 if rule.setting.endswith("_per_min") else int(KEPT_S)
    for number, fires in ((threshold - 1, False), (threshold, True), (threshold + 1, True)):
        watched = Watched()
        watched.names(make(0))
        assert (name in watched.names(make(number), for_s=waiting)) is fires, number
    for left in (make(0), make(threshold + 1)):
        watched.names(left, for_s=looks_back_s + int(rule.clear_s) + 5)
    counted = name not in {"stage_behind", "findings_open", "dead_letters", "way_behind", "clock_skew",
                           "dead_letters_old"}  # fmt: skip
    assert (name in watched.names(make(threshold + 1))) is not counted
    assert name not in watched.names(make(0), for_s=int(rule.clear_s) + 1)


@pytest.mark.parametrize("name", [rule.name for rule in RULES])
def test_a_threshold_of_nothing_switches_an_alarm_off(name: str) -> None:
    """As if there were no such rule."""
    rule = RULE[name]
    watched = Watched(**{rule.setting: 0})
    ill = stats(
        stages={"apply": StageStats(lag=10**6, failures=1, halted=True)},
        dead_letters=10**3,
        links={"us": 10**6},
        accept=AcceptStats(senders_ahead_s=100.0),
        verification=VerificationStats(open=3, shed=10**5, findings={"cache:diverged": 1}),
        process=ProcessStats(disk_bytes=10**12, disk_free_bytes=1, cache_restarts=1, worker_restarts=1),
        retention={"stream": RetentionStats()},
        outcomes={"refused:rights_elsewhere": 10**3},
        conflicts_resolved=10**4,
        dead_letters_oldest_s=10**7,
    )
    watched.names(stats(verification=VerificationStats(shed=1)))
    fired: set[str] = set()
    for second in range(310):
        ill.stages["apply"].failures = second
        fired |= set(watched.names(ill))
    assert fired == RULE.keys() - {name}


def test_a_stage_that_processes_nothing() -> None:
    """Only while something waits, and only once that has lasted; one step ends it. Others are not blamed."""
    watched = Watched()
    for _ in range(100):
        assert watched.names(apply(processed=5)) == []
    assert watched.names(apply(processed=5, lag=3), for_s=59) == []
    (alarm,) = watched.look(apply(processed=5, lag=3))
    assert (alarm.name, alarm.subject, alarm.severity) == ("stage_stuck", "apply", Severity.CRITICAL)
    assert "apply has processed nothing for 60 s" in alarm.message
    assert watched.names(apply(processed=6, lag=3)) == []


def test_what_waits_for_its_time_is_not_stuck() -> None:
    """A way that is cut, a conflict that is left alone for a while: they have alarms of their own, or none."""
    waiting = {name: StageStats(lag=60_000) for name in ("replicate", "verify")} | {"resolve": StageStats(lag=9)}
    assert Watched().names(stats(stages=waiting), for_s=200) == []


def test_a_stage_that_is_slow_is_not_stuck() -> None:
    """One step every half a minute is progress, however long it goes on."""
    watched = Watched()
    assert [name for done in range(20) for _ in range(30) for name in watched.names(apply(processed=done, lag=9))] == []


def test_a_stage_that_fails_again_and_again() -> None:
    """Failures a few seconds apart are one run of them; a few at a start are no alarm."""
    watched = Watched()
    for failures in range(6):
        assert watched.names(apply(failures=failures), for_s=6) == []
    assert "stage_failing" in watched.names(apply(failures=6), for_s=6)
    assert watched.names(apply(failures=6), for_s=35) == []
    assert watched.names(apply(failures=7), for_s=35) == [], "a single one later begins anew"


def test_a_stage_that_has_halted() -> None:
    """At once."""
    assert Watched().names(apply(halted=True)) == ["stage_halted"]


def test_a_way_on_which_nothing_passes() -> None:
    """What waits gets no less; a way under load on which it goes up and down is well."""
    watched = Watched()
    for second in range(200):
        assert watched.names(stats(links={"us": 50 + second % 3, "ap": 0})) == []
    for second in range(70):
        alarms = watched.look(stats(links={"us": 60 + second, "ap": 0}))
    assert [(alarm.name, alarm.subject) for alarm in alarms] == [("way_stuck", "us")]
    assert watched.names(stats(links={"us": 10, "ap": 0})) == []


def test_verification_that_has_stopped() -> None:
    """One that has never run is none that has stopped."""
    assert Watched().names(stats(), for_s=200) == []
    watched = Watched()
    assert watched.names(verification(keys_compared={"cache": 5}), for_s=120) == []
    assert watched.names(verification(keys_compared={"cache": 5}), for_s=2) == ["verification_idle"]
    assert watched.names(verification(keys_compared={"cache": 6})) == []


def trims(**enforced_at: int) -> Stats:
    return stats(retention={rule: RetentionStats(last_run_at=at) for rule, at in enforced_at.items()})


@pytest.mark.parametrize("stays_at", [0, AT_MS])
def test_a_rule_of_retention_that_is_not_enforced(stays_at: int) -> None:
    """Each by itself, and whether it ever was or not; a clock that is set back is no failure."""
    watched = Watched()
    for second in range(301):
        assert watched.names(trims(stream=AT_MS - 5 * (second // 5), history_days=stays_at)) == [] or second == 300
    (alarm,) = watched.look(trims(stream=AT_MS + 1, history_days=stays_at))
    assert (alarm.name, alarm.subject) == ("not_trimmed", "history_days")
    assert watched.names(trims(stream=AT_MS + 1, history_days=AT_MS + 2)) == []


@pytest.mark.parametrize(("free", "fires"), [(50_000_000_001, []), (50_000_000_000, ["disk_share"]),
                                             (10**9, ["disk_share", "disk_bytes"])])  # fmt: skip
def test_a_disk_that_is_nearly_full(free: int, fires: list[str]) -> None:
    """By its share and by its bytes, at the threshold and below; one that is unknown is none."""
    watched = Watched()
    assert watched.names(process(disk_free_bytes=free)) == fires
    assert watched.names(process(disk_free_bytes=0, disk_bytes=0)) == []


def test_a_disk_at_the_edge_does_not_flicker() -> None:
    """It ends when a tenth more than the threshold is free."""
    watched = Watched()
    assert watched.names(process(disk_free_bytes=5 * 10**10)) == ["disk_share"]
    assert watched.names(process(disk_free_bytes=55 * 10**9), for_s=9) == ["disk_share"]
    assert watched.names(process(disk_free_bytes=55 * 10**9 + 1)) == []


def test_what_flickers_neither_fires_nor_ends() -> None:
    """A lag fires after 10 s of it, and ends after 5 s of less than four fifths of the threshold."""
    watched = Watched()
    much, little = apply(lag=60_000), apply(lag=10)
    for second in range(60):
        alarms = watched.look(little if second % 9 == 0 else msgspec.structs.replace(much, rows_written=second))
        assert "stage_behind" not in [alarm.name for alarm in alarms]
    alarm = next(alarm for _ in range(11) for alarm in watched.look(much) if alarm.name == "stage_behind")
    for second in range(60):
        now = apply(lag=10 if second % 5 else 60_000, processed=second + 1)
        (still,) = watched.look(now)
        assert still.since == alarm.since
    assert watched.names(apply(lag=39_999), for_s=6) == []


def test_counts_that_begin_anew() -> None:
    """A worker that was started again counts from nothing: its refusals are what it has counted since."""
    watched = Watched()
    watched.names(stats(outcomes={"refused:rights_elsewhere": 10**6}))
    assert watched.names(stats(outcomes={"refused:rights_elsewhere": 99})) == []
    assert watched.names(stats(outcomes={"refused:rights_elsewhere": 100})) == ["rights_refused"]


def test_what_was_there_at_the_start_is_no_news() -> None:
    """Dead letters from before are there; they have not come now."""
    assert Watched().names(stats(dead_letters=500), for_s=5) == ["dead_letters"]


def test_looks_do_not_change_with_the_figures_that_were_looked_at() -> None:
    """The figures of a stage in this process go on counting."""
    watched, now = Watched(), stats(outcomes={"refused:rights_elsewhere": 0})
    watched.look(now)
    now.outcomes["refused:rights_elsewhere"] = 500
    assert [alarm.name for alarm in watched.look(now)] == ["rights_refused"]


def test_the_critical_ones_come_first_and_say_what_to_do() -> None:
    """With the value, the threshold and since when; the message has what was measured in it."""
    watched = Watched()
    both = stats(dead_letters=12_345, verification=VerificationStats(open=2))
    first, second = watched.look(both), watched.look(both)
    assert [alarm.name for alarm in first] == ["findings_open", "dead_letters"]
    assert first == second
    letters = first[1]
    assert (letters.value, letters.threshold, letters.since) == (12_345, 1, AT_MS + 1_000_000)
    assert letters.message == "12,345 dead letters wait for somebody"
    assert letters.remedy == RULE["dead_letters"].remedy


def test_every_threshold_belongs_to_one_alarm() -> None:
    """No setting is without effect, and no rule without a setting."""
    assert sorted(rule.setting for rule in RULES) == sorted(THRESHOLDS)
    assert len(RULE) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_message_holds_the_measure_and_the_subject_alone(rule: Rule) -> None:
    """Nothing of players can come into it, for there is nowhere else that it could come from."""
    assert set(re.findall(r"\{(\w*)", rule.says)) <= {"subject", "value"}
    assert len(rule.remedy) > 20
