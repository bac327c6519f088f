"""The alarms that there are: what each goes by, how it is said, and what to do.

A rule measures something, for the node or for each stage or region by itself, and has one threshold in the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from playerstate.core.answers import Severity, Stats
from playerstate.core.looks import Seen

Measures: TypeAlias = Mapping[str, float]
"""What a rule has measured, by stage or region; by "" where it is about the node."""


class Rule(NamedTuple):
    """An alarm that there is.

    `setting` is the threshold's name in the settings. `says` is the message, with `{subject}` and `{value}`, in which
    nothing of players can stand. Where `below`, it is too little that fires it. `clears` is the share of the threshold
    that the measure has to be under (over, where `below`) for the alarm to end.
    """

    name: str
    setting: str
    severity: Severity
    measure: Callable[[Seen], Measures]
    says: str
    remedy: str
    for_s: float = 0.0
    clear_s: float = 0.0
    clears: float = 1.0
    below: bool = False

    def reached(self, value: float, threshold: float) -> bool:
        """Whether a measure is where the alarm fires."""
        return value <= threshold if self.below else value >= threshold

    def clear(self, value: float, threshold: float) -> bool:
        """Whether a measure is where the alarm ends."""
        where = threshold * self.clears
        return value > where if self.below else value < where


def _of_node(measure: Callable[[Seen], float | None]) -> Callable[[Seen], Measures]:
    def measured(seen: Seen) -> Measures:
        value = measure(seen)
        return {} if value is None else {"": value}

    return measured


def _waiting(seen: Seen) -> Measures:
    """What waits for stages, but for those that have alarms of their own for it."""
    own = ("replicate", "verify")
    return {name: stage.lag for name, stage in seen.now.stages.items() if name not in own}


def _refused_for_rights(stats: Stats) -> float:
    return stats.outcomes.get("refused:rights_elsewhere", 0)


def _findings(stats: Stats) -> float:
    return sum(stats.verification.findings.values())


def _share_free(seen: Seen) -> float | None:
    process = seen.now.process
    return process.disk_free_bytes / process.disk_bytes if process.disk_bytes else None


def _bytes_free(seen: Seen) -> float | None:
    process = seen.now.process
    return process.disk_free_bytes if process.disk_bytes else None


def _skew(seen: Seen) -> float:
    return max(seen.now.accept.senders_ahead_s, seen.now.process.clock_jump_s)


CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

RULES = (
    Rule(
        "stage_halted",
        "stage_halted",
        CRITICAL,
        lambda seen: {name: stage.halted for name, stage in seen.now.stages.items()},
        "{subject} has met something that nobody can have written, and has stopped for good",
        "Look at the stage's last error in `playerstate status`, keep a copy of the folder, and restore",
    ),
    Rule(
        "stage_stuck",
        "stage_stuck_s",
        CRITICAL,
        lambda seen: seen.stuck_s,
        "{subject} has processed nothing for {value} s, though something waits",
        "Look at the stage's last error in `playerstate status`: what it needs is away, or it waits for another region",
    ),
    Rule(
        "stage_failing",
        "stage_failing_s",
        WARNING,
        lambda seen: seen.failing_s,
        "{subject} has failed again and again for {value} s",
        "Look at the stage's last error in `playerstate status`, and put the cause right; it goes on by itself",
    ),
    Rule(
        "stage_behind",
        "stage_lag_inputs",
        WARNING,
        _waiting,
        "{value} inputs wait for {subject}",
        "More comes than it can take: send less, or give the machine more; at 200,000 accept asks senders to slow down",
        for_s=10.0,
        clear_s=5.0,
        clears=0.8,
    ),
    Rule(
        "findings_open",
        "findings_open",
        CRITICAL,
        _of_node(lambda seen: seen.now.verification.open),
        "{value} findings have not been put right",
        "See `playerstate findings`, and why they could not be repaired: is repairing switched off, or a part away?",
    ),
    Rule(
        "findings_new",
        "findings_per_10_min",
        CRITICAL,
        _of_node(lambda seen: seen.risen_in_10_min(_findings)),
        "{value} times in 10 min something did not agree with the store",
        "See `playerstate findings`. Something has written to cache or graph past the node, or lost what it had",
    ),
    Rule(
        "verification_shedding",
        "verification_shed_per_min",
        WARNING,
        _of_node(lambda seen: seen.risen_in_1_min(lambda stats: stats.verification.shed)),
        "{value} changes in a minute were not looked at, because too many waited",
        "The walk alone finds what is wrong with them. If it stays, the machine has too little left to check all",
        for_s=30.0,
        clear_s=10.0,
    ),
    Rule(
        "verification_idle",
        "verification_idle_s",
        WARNING,
        _of_node(lambda seen: seen.unverified_s),
        "nothing has been verified for {value} s",
        "Look for what its stage says in the log. Until it goes on, nobody knows whether cache and graph are right",
    ),
    Rule(
        "dead_letters",
        "dead_letters",
        WARNING,
        _of_node(lambda seen: seen.now.dead_letters),
        "{value} dead letters wait for somebody",
        "`playerstate dead-letters list`: put the cause right and send them again, or remove them",
    ),
    Rule(
        "dead_letters_new",
        "dead_letters_per_10_min",
        WARNING,
        _of_node(lambda seen: seen.more_letters_in_10_min),
        "{value} dead letters have come in 10 min",
        "`playerstate dead-letters list`: many at once have one cause, often a game server or a schema that changed",
    ),
    Rule(
        "dead_letters_old",
        "dead_letters_oldest_days",
        WARNING,
        _of_node(lambda seen: seen.now.dead_letters_oldest_s / 86_400),
        "the oldest dead letter has waited for {value} days",
        "`playerstate dead-letters list`: settle it before it is let go of, after `retention.dead_letters_days`",
    ),
    Rule(
        "rights_refused",
        "rights_refused_per_min",
        WARNING,
        _of_node(lambda seen: seen.risen_in_1_min(_refused_for_rights)),
        "{value} updates in a minute were refused, because other regions hold the rights to what they spend",
        "Is a region away or a way cut? Rights come with the next exchange; players who have moved ask for many",
        clear_s=10.0,
        clears=0.8,
    ),
    Rule(
        "conflicts",
        "conflicts_per_min",
        WARNING,
        _of_node(lambda seen: seen.risen_in_1_min(lambda stats: stats.conflicts_resolved)),
        "{value} keys in a minute were written in several regions at once",
        "Nothing is lost. Are the same players served by several regions, more than your game means to?",
        clear_s=10.0,
        clears=0.8,
    ),
    Rule(
        "way_stuck",
        "way_stuck_s",
        WARNING,
        lambda seen: seen.way_stuck_s,
        "what {subject} has written has waited for {value} s, and gets no less",
        "`playerstate region list`: is the way cut? Otherwise look at the last error of `replicate`",
    ),
    Rule(
        "way_behind",
        "way_lag_changes",
        WARNING,
        lambda seen: seen.now.links,
        "{value} changes of {subject} wait on their way here",
        "`playerstate region list`: is the way cut or slow? Beyond 1,000,000 all rows are copied anew",
        for_s=10.0,
        clear_s=5.0,
        clears=0.8,
    ),
    Rule(
        "clock_skew",
        "clock_skew_s",
        WARNING,
        _of_node(_skew),
        "clocks differ: a sender's was ahead of this node's, or this machine's was set, by {value} s",
        "Have the clocks of game servers and of this machine kept by NTP. A minute after it is right this ends",
    ),
    Rule(
        "disk_share",
        "disk_free_share",
        CRITICAL,
        _of_node(_share_free),
        "of the disk a share of {value} is free",
        "Make room before it is full: nothing is accepted then. Shorter retention in the settings frees some",
        below=True,
        clears=1.1,
    ),
    Rule(
        "disk_bytes",
        "disk_free_bytes",
        CRITICAL,
        _of_node(_bytes_free),
        "{value} bytes of the disk are free",
        "Make room before it is full: nothing is accepted then. Shorter retention in the settings frees some",
        below=True,
        clears=1.1,
    ),
    Rule(
        "cache_restarted",
        "cache_restarts_per_10_min",
        WARNING,
        _of_node(lambda seen: seen.risen_in_10_min(lambda stats: stats.process.cache_restarts)),
        "the cache has died and been started again, {value} times in 10 min",
        "Readers fill it. Look for what ended it: `valkey/valkey.log.1` in the folder, and the machine's memory",
    ),
    Rule(
        "worker_restarted",
        "worker_restarts_per_10_min",
        WARNING,
        _of_node(lambda seen: seen.risen_in_10_min(lambda stats: stats.process.worker_restarts)),
        "a worker has died and been started again, {value} times in 10 min",
        "It goes on from its positions. Look for what ended it: the machine's memory, or somebody's kill",
    ),
    Rule(
        "not_trimmed",
        "untrimmed_s",
        WARNING,
        lambda seen: seen.untrimmed_s,
        "what retention's rule `{subject}` lets go of has stayed for {value} s, so the files grow",
        "Look in the log for why: `retention tries again`; of `changes` at the last error of `apply` in the status",
    ),
)
"""Every alarm that there is."""
