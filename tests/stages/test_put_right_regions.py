"""Undoing what two regions have applied, before they heard of each other."""

from __future__ import annotations

import pytest

from playerstate.core.images import Images
from playerstate.core.model import Identity, Key, Transition, Update
from playerstate.core.views import transition_of
from playerstate.errors import InvalidUpdate
from playerstate.stages.put_right import PutRight
from stages.regions import SCHEMA, Regions
from stages.world import add

GOLD = Key("ada", "gold")


def undoing(regions: Regions, region: str, identity: Identity) -> Update:
    """What undoes the update there, worked out from that region's own history."""
    store, images = regions[region].store, Images(SCHEMA)

    def history(key: Key, before: int | None, limit: int) -> list[Transition]:
        notices = [
            images.notice(key, region, change.old, images.read(key.state_key, change.new), own=True)
            for change in store.changes.read(0, 1000)
            if (change.key, change.region) == (key, region)
        ]
        found = [transition for notice in notices if (transition := transition_of(notice))]
        return [one for one in reversed(found) if before is None or one.written_at < before][:limit]

    stage = PutRight(SCHEMA, region, store, history)
    update = stage.propose_undo(identity, "a test", regions.clock.now_ms()).update
    assert update is not None
    return update


def test_what_two_regions_have_applied_is_undone_in_each() -> None:
    """It counts twice; what each did is undone once, however often it is sent. Promise 2."""
    regions = Regions()
    given = add(100)
    assert [regions.send(region, given) for region in ("a", "b")] == ["applied", "applied"]
    regions.settle()
    assert regions["c"].view(GOLD).decoded() == 210
    for region, left in ("a", 110), ("b", 10):
        update = undoing(regions, region, given.identity)
        assert [regions.send(region, update) for _ in range(2)] == ["applied", "duplicate"]
        regions.settle()
        assert regions["c"].view(GOLD).decoded() == left
        with pytest.raises(InvalidUpdate, match="undone already"):
            undoing(regions, region, given.identity)
    with pytest.raises(InvalidUpdate, match="a or b has applied it"):
        undoing(regions, "c", given.identity)
