"""The simulator finds bugs: each of these is planted, and a run of a few seeds says what promise it breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec
import pytest

from playerstate.backends.memory.cache import MemoryCache
from playerstate.backends.memory.store import MemoryStore
from playerstate.core import judgement, producers, resolution
from playerstate.core.model import Cause, Effect, Notice, Outcome, Transition, Update, View
from playerstate.core.replica import Replica, Write
from playerstate.core.types import At, bounded_counter, counter, escrow, inventory
from playerstate.core.version_vector import VersionVector, join, parse_vector
from playerstate.ports.cache import Put
from playerstate.simulation import death
from playerstate.simulation.run import Run, run, shortest
from playerstate.stages import audit

TRIES_MAX = 30
SEEDS_MAX = 100
STEPS = 500


def larger_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that takes the larger number, instead of the part of the row that counts more."""

    def join_parts(a: Mapping[str, Any], _: VersionVector, b: Mapping[str, Any], __: VersionVector) -> dict[str, Any]:
        return {region: max([x[region] for x in (a, b) if region in x], key=str) for region in a.keys() | b.keys()}

    for module in (counter, bounded_counter, inventory):
        monkeypatch.setattr(module, "join_parts", join_parts)


def gift_without_a_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights that are given without a step of their own."""

    def give(replica: Replica, now: int, retired: Mapping[str, str]) -> None:
        data_type = resolution.DATA_TYPES[replica.spec.type]
        if isinstance(data_type, resolution.Escrowed):
            replica.state, effects = data_type.give(replica.state, replica.region, replica.spec, retired)
            if effects:
                replica.because.append(Cause(replica.next_step - 1, resolution.RESOLVER, 0, now, now, effects))

    monkeypatch.setattr(resolution, "_give", give)


def memory_lost_on_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that keeps one side's producer memory."""

    def join(a: producers.Memory, _: VersionVector, __: producers.Memory, ___: VersionVector) -> producers.Memory:
        return dict(a)

    monkeypatch.setattr(producers, "join", join)


def apply_without_its_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that writes whatever row is there."""
    real = MemoryStore._commit_one

    def commit_one(store: MemoryStore, writes: Sequence[Write]) -> bool:
        rows = {write.key: store._rows.get(write.key, {}).get(write.region) for write in writes}
        return real(store, [write._replace(seen=row.version if (row := rows[write.key]) else None) for write in writes])

    monkeypatch.setattr(MemoryStore, "_commit_one", commit_one)


def cache_without_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that takes every view that it is offered."""

    def offer(cache: MemoryCache, view: View) -> Put:
        cache._write(view)
        return Put.WRITTEN

    monkeypatch.setattr(MemoryCache, "_offer", offer)


def rows_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a region that is gone told one other only stays there. It shows seldom, so a region dies in every run."""
    monkeypatch.setattr(death, "SHARE", 1.0)
    monkeypatch.setattr(resolution, "left_behind", lambda *_: False)


def rights_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retirement that takes nothing over."""
    monkeypatch.setattr(resolution, "take_over", lambda *_: 0)


def rights_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A take-over that does not see what was taken over before."""
    real = escrow.take_over

    def take_over(accounts: Mapping[str, Any], heir: str, gone: str, starting: Mapping[str, int]) -> tuple[Any, int]:
        forgotten = {r: escrow.pack(escrow.unpack(packed)._replace(taken={})) or 0 for r, packed in accounts.items()}
        _, held = real(forgotten, heir, gone, starting)
        own = escrow.unpack(accounts.get(heir))
        taken = {**own.taken, gone: own.taken.get(gone, 0) + held}
        return escrow.pack(own._replace(taken=taken)), held

    monkeypatch.setattr(escrow, "take_over", take_over)


def seen_as_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal that takes what its writer had seen for what the row contains."""
    real = judgement._obstacle

    def obstacle(update: Update, known: Any, replicas: Sequence[Replica]) -> Outcome | None:
        if update.seen is not None and update.ops[0].op == "remove":
            replicas[0].vector = join(replicas[0].vector, parse_vector(update.seen))
        return real(update, known, replicas)

    monkeypatch.setattr(judgement, "_obstacle", obstacle)


def seen_that_limits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal that removes what is there, whatever its writer had seen."""
    monkeypatch.setattr(At, "observed", lambda *_: True)


def erasing_by_deletion(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that leaves nothing of the row, which then begins anew."""

    def erase(replica: Replica, _: producers.Memory, cause: Cause) -> None:
        replica.vector, replica.memory = {}, {}
        replica.take_step(replica.data_type.empty(), msgspec.structs.replace(cause, n=1))

    monkeypatch.setattr(Replica, "erase", erase)


def erasing_without_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that is a step like any other."""

    def erase(replica: Replica, memory: producers.Memory, cause: Cause) -> None:
        replica.memory = dict(memory)
        replica.take_step(replica.data_type.empty(), cause)

    monkeypatch.setattr(Replica, "erase", erase)


def memory_lost_on_following(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that was left behind by an erasure, and takes the higher epoch's memory for all there is."""
    monkeypatch.setattr(producers, "forgotten", lambda _: producers.NOTHING)


def amounts_as_they_were_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that says what operations asked for, not what they came to."""

    def asked(effect: Effect) -> Effect:
        return msgspec.structs.replace(effect, delta=abs(effect.delta)) if effect.delta else effect

    _record_otherwise(monkeypatch, lambda causes: [_with_effects(cause, asked) for cause in causes])


def a_cause_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that names the last update of every write."""
    _record_otherwise(monkeypatch, lambda causes: causes[-1:])


def _record_otherwise(monkeypatch: pytest.MonkeyPatch, change: Callable[[list[Cause]], list[Cause]]) -> None:
    real = audit.transition_of

    def transition_of(notice: Notice) -> Transition | None:
        told = real(notice)
        return msgspec.structs.replace(told, causes=change(told.causes)) if told else None

    monkeypatch.setattr(audit, "transition_of", transition_of)


def _with_effects(cause: Cause, change: Callable[[Effect], Effect]) -> Cause:
    return msgspec.structs.replace(cause, effects=[change(effect) for effect in cause.effects])


@pytest.mark.parametrize(
    ("plant", "checkers"),
    [
        (larger_number, {"sums"}),
        (gift_without_a_dot, {"converged"}),
        (memory_lost_on_join, {"once"}),
        (apply_without_its_condition, {"sums"}),
        (cache_without_comparison, {"never_backwards", "cache_in_step"}),
        (rows_left_behind, {"converged"}),
        (rights_left_behind, {"rights_come_back"}),
        (rights_taken_twice, {"never_overspent", "at_rest"}),
        (seen_as_context, {"added_elements_stay"}),
        (seen_that_limits_nothing, {"added_elements_stay"}),
        (erasing_by_deletion, {"erased"}),
        (erasing_without_an_epoch, {"sums"}),
        (memory_lost_on_following, {"once"}),
        (amounts_as_they_were_asked, {"rebuilt"}),
        (a_cause_a_write, {"rebuilt", "explained"}),
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None],
    checkers: set[str],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """By a checker of the promise that it breaks, within a few seeds; and a shorter run of the same seed shows it."""
    plant(monkeypatch)
    for seed in count():
        assert seed < SEEDS_MAX, "not found"
        found = run(seed, STEPS * (1 + seed % 2))  # some show late, some are mended when there is more time
        if checkers & _named(found):
            break
    short = shortest(found, tries_max=TRIES_MAX)
    assert short.violations
    assert short.steps <= found.steps
    assert run(short.seed, short.steps, idle=short.idle).violations == short.violations
    matter = f"{short.steps} steps, {len(short.trace)} of which matter"
    told = f"seed {seed}, by {sorted(_named(found))}; {matter}, by {sorted(_named(short))}"
    record_property("found", told)
    print(told)


def _named(found: Run) -> set[str]:
    """The checkers that found something."""
    return {violation.partition(":")[0] for violation in found.violations}
