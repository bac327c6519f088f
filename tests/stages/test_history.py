"""The histories of several regions as one: nothing twice, nothing left out unsaid, whatever the pages and filters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import structs

from builders import NOW_MS, cause, transition
from conformance.audit_deliveries import delivery
from playerstate.backends.memory.audit import MemoryAudit
from playerstate.core.history import OUTCOMES, Entry, HistoryPage, Wanted
from playerstate.core.model import Delivery, Outcome, Reason, Side, Status, Transition
from playerstate.errors import InvalidUpdate, Unavailable
from playerstate.stages import history as stage
from playerstate.stages.history import History, Others
from stages.world import World

REGIONS = ("eu", "us", "ap")
REFUSED = structs.replace(cause(1, producer="shop"), status=Status.REFUSED, reason="insufficient")


def filled(seed: int) -> tuple[dict[str, MemoryAudit], list[Entry]]:
    """Three audits in which much happens in the same millisecond, and all that is in them."""
    random, audits, entries = Random(seed), {}, []
    for region in REGIONS:
        audit = audits[region] = MemoryAudit()
        for n in range(1, random.randint(2, 40)):
            written_at = NOW_MS + random.randint(0, 12)
            causes = [structs.replace(random.choice([cause(n), REFUSED]), n=n)]
            one = transition(n, region=region, written_at=written_at, causes=causes)
            audit.append([one])
            entries.append(one)
        for n in range(1, random.randint(2, 20)):
            came = delivery(n, sequence=n, region=region, judged_at=NOW_MS + random.randint(0, 12))
            audit.note([came])
            entries.append(came)
    return audits, entries


def of(audits: dict[str, MemoryAudit], **not_read: str) -> History:
    own, *rest = audits
    return History(audits[own], lambda: Others({region: audits[region] for region in rest}, not_read))


def pages(history: History, **asked: Any) -> Iterator[HistoryPage]:
    """Page by page, to the end."""
    before = asked.pop("before", None)
    while True:
        page = history.page("anna", before=before, **asked)
        yield page
        if page.before is None:
            return
        assert before is None or page.before < before, "the pages do not get on"
        before = page.before


def when(entry: Entry) -> int:
    return entry.written_at if isinstance(entry, Transition) else entry.judged_at


def shown(page: HistoryPage) -> list[Entry]:
    return [*page.transitions, *page.deliveries]


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_pages_tell_everything_once_the_latest_first(seed: int, limit: int) -> None:
    """Of all regions, in pages that hold at least so many, however many fall into one millisecond."""
    audits, entries = filled(seed)
    found = list(pages(of(audits), limit=limit))
    assert all(len(page) >= limit for page in found[:-1])
    assert sorted([one for page in found for one in shown(page)], key=repr) == sorted(entries, key=repr)
    for page in found:
        times = [one.written_at for one in page.transitions], [one.judged_at for one in page.deliveries]
        assert all(one == sorted(one, reverse=True) for one in times)
    for earlier, later in pairwise([page for page in found if len(page)]):  # the last may turn out to be empty
        assert min(map(when, shown(earlier))) > max(map(when, shown(later)))


def test_large_values_come_in_smaller_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are asked for: a page is full with the one that fills it, and with all of its millisecond."""
    monkeypatch.setattr(stage, "PAGE_BYTES_MAX", 1000)
    audit, large = MemoryAudit(), msgspec.Raw(b'"' + b"x" * 300 + b'"')
    written = [transition(n, written_at=NOW_MS + n // 2, after=large) for n in range(1, 30)]
    audit.append(written)
    for wanted in (Wanted(), Wanted("applied")):
        found = list(pages(History(audit), limit=1000, wanted=wanted))
        assert max(map(len, found)) <= 5
        assert sorted([one for page in found for one in shown(page)], key=repr) == sorted(written, key=repr)


@pytest.mark.parametrize("limit", [1, 3, 1000])
@pytest.mark.parametrize("scanned_max", [1, 10, 10_000])
@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Wanted("refused"), lambda one: isinstance(one, Transition) and one.causes[0].status == "refused"),
        (Wanted("refused:insufficient"), lambda one: isinstance(one, Transition) and bool(one.causes[0].reason)),
        (Wanted("refused:row_too_large"), lambda _: False),
        (Wanted("duplicate"), lambda one: isinstance(one, Delivery)),
        (Wanted("expired"), lambda _: False),
        (Wanted(producer="shop"), lambda one: isinstance(one, Transition) and one.causes[0].producer == "shop"),
        (Wanted("applied", "shop"), lambda _: False),
    ],
)
def test_a_filter_hides_nothing_that_is_wanted(
    wanted: Wanted, takes: Any, scanned_max: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few of many are wanted, and however few a page looks at: whoever goes on until the end has them all."""
    monkeypatch.setattr(stage, "SCANNED_AT_ONCE", 4)
    monkeypatch.setattr(stage, "SCANNED_MAX", scanned_max)
    audits, entries = filled(3)
    found = [one for page in pages(of(audits), limit=limit, wanted=wanted) for one in shown(page)]
    assert sorted(found, key=repr) == sorted([one for one in entries if takes(one)], key=repr)


def test_a_time_bounds_it_from_both_sides() -> None:
    """From `since` on, that included, and before `before`."""
    audits, entries = filled(1)
    bounds = {"since": NOW_MS + 3, "before": NOW_MS + 9}
    found = [one for page in pages(of(audits), limit=5, **bounds) for one in shown(page)]
    assert sorted(found, key=repr) == sorted([one for one in entries if 3 <= when(one) - NOW_MS < 9], key=repr)


def test_one_region_alone_can_be_asked() -> None:
    """Then nobody else is, and nothing is said of who could not be read."""
    audits, entries = filled(2)
    page = of(audits, sa="away").page("anna", limit=1000, everywhere=False)
    assert sorted(shown(page), key=repr) == sorted([one for one in entries if one.region == "eu"], key=repr)
    assert page.not_read == {}


def test_a_page_that_reaches_up_to_now_says_what_the_store_has() -> None:
    """So that whoever reads it knows of writes that the audit has yet to record; an earlier page cannot say."""
    world = World()
    calls = world.calls(on_accepted=lambda: world.apply.handle(world.stream.read(0, 100)))
    calls.send({"ops": [{"player_id": "ada", "state_key": "gold", "op": "add", "n": 5}]})
    page = calls.history("ada")
    assert (page.transitions, page.present) == ([], {"gold": "local:1"})
    assert calls.history("ada", before=NOW_MS).present is None


def test_it_is_said_from_when_on_each_log_is_whole() -> None:
    """Of the regions that were read, and of no other."""
    audits, _ = filled(2)
    audits["us"].trim(NOW_MS + 4, limit=1000)
    history = History(
        audits["eu"], lambda: Others({name: audits[name] for name in ("us", "ap")}, {"sa": "away"}), region=lambda: "eu"
    )
    since = audits["us"].complete_since()
    assert 0 < since <= NOW_MS + 4
    assert history.page("anna").complete_since == {"ap": 0, "eu": 0, "us": since}
    assert history.page("anna", everywhere=False).complete_since == {"eu": 0}


def test_who_could_not_be_read_is_named() -> None:
    """Those that are known to be away, and those that fail, at whatever page; the others are told all the same."""

    class Failing(MemoryAudit):
        calls = 0

        def history(self, *arguments: Any, **rest: Any) -> list[Transition]:
            self.calls += 1
            if self.calls > 1:
                raise Unavailable("the disk is gone")
            return super().history(*arguments, **rest)

    audits, entries = filled(2)
    audits["us"] = Failing()
    found = list(pages(of(audits, sa="away"), limit=3))
    assert [page.not_read for page in found[:2]] == [{"sa": "away"}, {"sa": "away", "us": "the disk is gone"}]
    told = [one for page in found for one in shown(page)]
    assert sorted(told, key=repr) == sorted([one for one in entries if one.region != "us"], key=repr)


def test_what_stands_in_two_logs_is_told_once() -> None:
    """A restored region's log has what the one before it had recorded."""
    audits, entries = filled(4)
    audits["eu"].append(audits["us"].history("anna", limit=1000))
    audits["eu"].note(audits["us"].deliveries("anna", limit=1000))
    found = [one for page in pages(of(audits), limit=2) for one in shown(page)]
    assert sorted(found, key=repr) == sorted(entries, key=repr)


def test_joins_can_be_asked_for() -> None:
    """A conflict that was resolved is found by that, also where the write gave rights at the same time."""
    audit = MemoryAudit()
    sides = [Side("eu", "eu:1", "1"), Side("us", "us:1", "2")]
    alone, giving = transition(1, causes=[]), transition(2)
    joins = [structs.replace(one, version=f"eu:{n}", sides=sides) for n, one in enumerate([alone, giving], 1)]
    audit.append([*joins, transition(9)])
    assert len(History(audit).page("anna", wanted=Wanted("resolved")).transitions) == 2
    assert len(History(audit).page("anna", wanted=Wanted("applied")).transitions) == 2
    assert History(audit).page("anna", wanted=Wanted("resolved", "shop")).transitions == []


def test_an_outcome_that_there_is_not_is_refused() -> None:
    """With the list of those that there are; a dead letter is none that a history tells."""
    with pytest.raises(InvalidUpdate, match="duplicate, resolved"):
        Wanted("lost")
    with pytest.raises(InvalidUpdate):
        Wanted("dead")
    for nonsense in ("refused:nonsense", "refused:", "applied:insufficient", "duplicate:x"):
        with pytest.raises(InvalidUpdate, match="behind refused: insufficient, "):
            Wanted(nonsense)
    assert all(Wanted(f"refused:{reason}") for reason in Reason)
    assert [Wanted(outcome).everything for outcome in OUTCOMES] == [False] * len(OUTCOMES)
    late = delivery()
    late = structs.replace(late, outcome=Outcome(Status.EXPIRED))
    assert Wanted("expired").takes_delivery(late)
    assert not Wanted("duplicate").takes_delivery(late)
