"""What goes wrong is drawn from a seed, and every kind of it comes up."""

from __future__ import annotations

from random import Random

from playerstate.trials.faults import FAULTS_MAX, KINDS, SKEW_MS_MAX, Fault, draw

REGIONS = ["r1", "r2", "r3"]


def drawn(seed: int, regions: list[str] = REGIONS) -> list[Fault]:
    return draw(Random(seed), regions)


def test_a_seed_draws_the_same_faults() -> None:
    """To be had again, and other seeds draw others."""
    assert drawn(7) == drawn(7)
    assert len({str(drawn(seed)) for seed in range(50)}) > 40


def test_every_kind_comes_up_within_bounds() -> None:
    """In few seeds, with places that exist, and can be told in words."""
    faults = [fault for seed in range(200) for fault in drawn(seed)]
    assert {fault.kind for fault in faults} == set(KINDS)
    assert all(fault.region in REGIONS and fault.region not in fault.others for fault in faults)
    assert all(fault.region in str(fault) for fault in faults)
    assert all(abs(fault.amount) <= SKEW_MS_MAX for fault in faults if fault.kind == "clock")
    assert {1, FAULTS_MAX} <= {len(drawn(seed)) for seed in range(200)}
    assert all(drawn(seed) for seed in range(200))
    assert any(len([fault for fault in drawn(seed) if fault.kind == "node"]) > 1 for seed in range(200))


def test_one_region_is_not_cut_off_from_itself() -> None:
    """Where there are no others, there is no partition."""
    assert all(fault.kind != "partition" for seed in range(200) for fault in drawn(seed, ["r1"]))


def test_no_cache_dies_beside_a_zombie() -> None:
    """What a stopped worker has in hand must not be the only view that a new cache is ever offered."""
    for seed in range(500):
        faults = drawn(seed)
        zombies = {fault.region for fault in faults if fault.kind == "zombie"}
        killed = {fault.region for fault in faults if fault.kind == "cache" or "cache" in fault.companions}
        assert not zombies & killed
