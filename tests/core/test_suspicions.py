"""Suspicions: what is seen three times is confirmed, what lags may lag, what moves or is gone was nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest

from playerstate.core.comparison import Difference
from playerstate.core.findings import CACHE, GRAPH, STORE, Finding, Kind, Repair, copies_in
from playerstate.core.model import Key
from playerstate.core.suspicions import (
    LAGGING_LOOK_MS,
    LOOK_AGAIN_MS,
    OPEN_LOOK_MS,
    SIGHTINGS_MIN,
    WAITING_LOOK_MAX_MS,
    Noted,
    Suspicions,
    Way,
    kind_when_confirmed,
)

STALE_MS = 15_000
KEY, OTHER = Key("ada", "gold"), Key("eve", "gold")
ELSEWHERE = copies_in("b")


def difference(
    kind: Kind = Kind.DIVERGED, *, found: str = "a:3", expected: str = "a:3", key: Key = KEY, place: str = CACHE
) -> Difference:
    return Difference(place, key, kind, expected, found)


def finding(key: Key = KEY, repair: Repair = Repair.LEFT) -> Finding:
    return Finding("1", "a", CACHE, Kind.DIVERGED, *key, "a:3", "a:3", 0, 0, repair=repair)


def lagging(found: str = "a:2", *, place: str = CACHE, key: Key = KEY, expected: str = "a:3") -> Difference:
    return difference(Kind.LAGGING, found=found, place=place, key=key, expected=expected)


class Eyes:
    """Looks at two players in all places, unless it is told otherwise, at a time that goes on by itself."""

    def __init__(self, **bounds: int) -> None:
        self.suspicions = Suspicions(lambda _place: STALE_MS, **bounds)
        self.now = 0

    def see(
        self,
        *differences: Difference,
        places: tuple[str, ...] = (CACHE, GRAPH, STORE, ELSEWHERE),
        ways: dict[str, Way] | None = None,
        after_ms: int = LOOK_AGAIN_MS,
        away: tuple[str, ...] | None = None,
    ) -> Noted:
        self.now += after_ms
        return self.suspicions.note(["ada", "eve"], places, differences, ways or {}, self.now, away)

    def due(self) -> list[str]:
        return self.suspicions.due(self.now, 10)


@pytest.fixture
def eyes() -> Eyes:
    return Eyes()


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.LAGGING])
def test_confirmed_after_three_equal_sightings(eyes: Eyes, kind: Kind) -> None:
    """Not after two; the suspect says since when it was seen."""
    one = difference(kind)
    for _ in range(SIGHTINGS_MIN - 1):
        assert eyes.see(one) == ([], [])
    (confirmed,) = eyes.see(one).confirmed
    assert (confirmed.difference, confirmed.first_seen_at) == (one, LOOK_AGAIN_MS)
    assert SIGHTINGS_MIN == 3


def test_what_is_seen_is_looked_at_again_after_a_second(eyes: Eyes) -> None:
    """Each time, until it is confirmed; who is not suspected is not due."""
    for _ in range(SIGHTINGS_MIN - 1):
        eyes.see(difference())
        assert eyes.due() == []
        eyes.now += LOOK_AGAIN_MS
        assert eyes.due() == ["ada"]
        eyes.now -= LOOK_AGAIN_MS


@pytest.mark.parametrize(
    "other",
    [
        difference(found="a:4"),
        difference(Kind.AHEAD),
        difference(Kind.LAGGING),
        difference(place=GRAPH),
        difference(key=OTHER),
    ],
    ids=["another version", "another kind", "late", "another place", "another player"],
)
def test_something_else_is_seen_for_the_first_time(eyes: Eyes, other: Difference) -> None:
    """A fault that becomes another one begins anew."""
    eyes.see(difference())
    eyes.see(difference())
    assert eyes.see(other).confirmed == []
    assert eyes.suspicions.waiting == 1
    assert eyes.see(difference()).confirmed == []


def test_what_the_store_moves_on_from_is_the_same_fault(eyes: Eyes) -> None:
    """What was expected does not matter, nor does the wording: it is what is there that is stuck."""
    for n in range(SIGHTINGS_MIN - 1):
        eyes.see(difference(Kind.AHEAD, found="b:9", expected=f"a:{n}")._replace(detail=str(n)))
    (confirmed,) = eyes.see(difference(Kind.AHEAD, found="b:9", expected="a:7")).confirmed
    assert confirmed.difference.expected == "a:7"


def test_a_busy_key_that_is_overspent_is_found(eyes: Eyes) -> None:
    """Promise 4: it stays overspent from version to version, and is never the same version for long."""
    for n in range(SIGHTINGS_MIN - 1):
        version = f"a:{n}"
        eyes.see(difference(Kind.OVERSPENT, place=STORE, found=version, expected=version))
    (confirmed,) = eyes.see(difference(Kind.OVERSPENT, place=STORE, found="a:7", expected="a:7")).confirmed
    assert confirmed.difference.found == "a:7"


def test_what_is_gone_was_nothing(eyes: Eyes) -> None:
    """A difference that is not seen again is dropped, and begins anew when it comes back."""
    eyes.see(difference())
    eyes.see(difference())
    assert eyes.see() == ([], [])
    assert (eyes.suspicions.waiting, eyes.due()) == (0, [])
    assert eyes.see(difference()).confirmed == []


def test_a_place_that_was_not_looked_at_keeps_its_suspects(eyes: Eyes) -> None:
    """Nobody has seen that it is gone. It is due again, but not at once: whoever does not answer is not pestered."""
    eyes.see(difference())
    eyes.see(difference())
    assert eyes.see(places=(GRAPH, STORE)) == ([], [])
    assert eyes.suspicions.waiting == 1
    assert eyes.due() == []
    eyes.now += LOOK_AGAIN_MS
    assert eyes.due() == ["ada"]
    assert len(eyes.see(difference()).confirmed) == 1


def test_lag_becomes_stale_at_its_limit(eyes: Eyes) -> None:
    """Promise 8: whatever else, an older version is nothing before it has been stuck for so long, and then it is."""
    began = eyes.now + LOOK_AGAIN_MS
    looks = 0
    while not (noted := eyes.see(lagging())).confirmed:
        assert eyes.now < began + STALE_MS
        looks += 1
    assert looks >= SIGHTINGS_MIN
    assert eyes.now == began + STALE_MS
    assert kind_when_confirmed(noted.confirmed[0].difference) is Kind.STALE


def test_lag_is_looked_at_when_it_can_be_confirmed(eyes: Eyes) -> None:
    """Looking whenever it is due, and never else, finds at the limit what is stale, and not much later."""
    eyes.see(lagging())
    began, looks = eyes.now, 0
    while True:
        eyes.now += 100
        if eyes.due():
            looks += 1
            if eyes.see(lagging(), after_ms=0).confirmed:
                break
    assert STALE_MS <= eyes.now - began < STALE_MS + LOOK_AGAIN_MS
    assert looks <= STALE_MS / LAGGING_LOOK_MS + SIGHTINGS_MIN


def test_few_looks_confirm_no_lag(eyes: Eyes) -> None:
    """Two looks far apart have not seen that it was stuck in between."""
    eyes.see(lagging())
    assert eyes.see(lagging(), after_ms=10 * STALE_MS).confirmed == []
    assert len(eyes.see(lagging()).confirmed) == 1


def test_a_version_that_moves_is_not_stuck(eyes: Eyes) -> None:
    """A busy key that is always behind, and always gets on, lags; once it stands still, its time begins."""
    for n in range(60):
        assert eyes.see(lagging(f"a:{n}", expected=f"a:{n + 5}"), after_ms=1000).confirmed == []
    for _ in range(STALE_MS // 1000 - 1):
        assert eyes.see(lagging("a:59"), after_ms=1000).confirmed == []
    assert len(eyes.see(lagging("a:59"), after_ms=1000).confirmed) == 1


def test_a_busy_key_whose_old_version_is_stuck_is_found(eyes: Eyes) -> None:
    """Promise 8: however busy the key: what counts is what is there."""
    confirmed = [n for n in range(20) if eyes.see(lagging(expected=f"a:{n + 3}")).confirmed]
    assert confirmed[0] == STALE_MS // LOOK_AGAIN_MS


def test_what_the_way_has_not_passed_is_not_stale(eyes: Eyes) -> None:
    """A way that is slow explains what lags, however long: what counts is where its head was at the first sighting."""
    for head in range(100, 160):
        assert eyes.see(lagging(), ways={CACHE: Way(99, head)}).confirmed == []
    assert len(eyes.see(lagging(), ways={CACHE: Way(100, 160)}).confirmed) == 1


def test_what_waits_for_its_way_is_not_looked_at_all_the_time(eyes: Eyes) -> None:
    """While nothing but the way is waited for, it is looked at ever more seldom: it is one of many."""
    eyes.see(lagging(), ways={CACHE: Way(0, 100)})
    looks = []
    while eyes.now < 1_000_000:
        eyes.now += 1_000
        if eyes.due():
            looks.append(eyes.now)
            eyes.see(lagging(), ways={CACHE: Way(0, 100)}, after_ms=0)
    pauses = [later - earlier for earlier, later in pairwise(looks)]
    assert pauses[-1] == WAITING_LOOK_MAX_MS
    assert len(looks) < 40
    eyes.now += WAITING_LOOK_MAX_MS
    assert len(eyes.see(lagging(), ways={CACHE: Way(100, 200)}).confirmed) == 1


def test_the_way_of_one_place_explains_nothing_in_another(eyes: Eyes) -> None:
    """And where no way is known, the limit alone counts."""
    for _ in range(STALE_MS // LOOK_AGAIN_MS):
        assert eyes.see(lagging(), lagging("0", place=GRAPH), ways={CACHE: Way(0, 9)}).confirmed == []
    (confirmed,) = eyes.see(lagging(), lagging("0", place=GRAPH), ways={CACHE: Way(0, 9)}).confirmed
    assert confirmed.difference.place == GRAPH
    assert kind_when_confirmed(confirmed.difference) is Kind.MISSING


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (lagging("a:2"), Kind.STALE),
        (lagging(""), Kind.MISSING),
        (lagging("0", place=GRAPH), Kind.MISSING),
        (lagging("1", place=GRAPH), Kind.STALE),
        (difference(Kind.DIVERGED, found=""), Kind.DIVERGED),
        (difference(Kind.ORPHAN), Kind.ORPHAN),
    ],
)
def test_names_of_findings(seen: Difference, kind: Kind) -> None:
    """What lagged for too long is stale, or missing if there is nothing; all else keeps its name."""
    assert kind_when_confirmed(seen) is kind


def confirmed_once(eyes: Eyes, *differences: Difference) -> Noted:
    for _ in range(SIGHTINGS_MIN - 1):
        eyes.see(*differences)
    return eyes.see(*differences)


def test_what_was_put_right_is_forgotten(eyes: Eyes) -> None:
    """If it is seen again, it is seen for the first time."""
    (confirmed,) = confirmed_once(eyes, difference()).confirmed
    eyes.suspicions.settle(confirmed, finding(), eyes.now, open_=False)
    assert (eyes.suspicions.waiting, eyes.suspicions.open) == (0, 0)
    assert eyes.see(difference()).confirmed == []


def test_open_findings_are_tried_again_at_their_time(eyes: Eyes) -> None:
    """Promise 8: what could not be put right is due again, not at every look, also if it is another fault by then."""
    (confirmed,) = confirmed_once(eyes, difference()).confirmed
    for again in (difference(), difference(found="a:4"), lagging()):
        eyes.suspicions.settle(confirmed, finding(), eyes.now, open_=True)
        assert (eyes.suspicions.waiting, eyes.suspicions.open) == (0, 1)
        assert eyes.see(again, after_ms=OPEN_LOOK_MS - 1).confirmed == []
        assert eyes.due() == []
        eyes.now += 1
        assert eyes.due() == ["ada"]
        (confirmed,) = eyes.see(again, after_ms=0).confirmed
        assert (confirmed.finding, confirmed.difference) == (finding(), again)
    eyes.suspicions.settle(confirmed, finding(), eyes.now, open_=False)
    assert (eyes.suspicions.waiting, eyes.suspicions.open) == (0, 0)


def test_open_findings_that_are_gone_are_reported_once(eyes: Eyes) -> None:
    """Whoever mended it by hand need not tell; an unconfirmed suspect that is gone is not worth telling."""
    (confirmed,) = confirmed_once(eyes, difference()).confirmed
    eyes.suspicions.settle(confirmed, finding(), eyes.now, open_=True)
    eyes.see(difference(), difference(key=OTHER))
    assert eyes.see(difference(key=OTHER), places=(GRAPH,)).gone == []
    eyes.now += 2 * LOOK_AGAIN_MS
    assert eyes.due() == ["eve"]  # whoever is away does not make an open finding due before its time
    assert eyes.see().gone == [finding()]
    assert eyes.suspicions.open == 0
    assert eyes.see().gone == []


def test_suspects_are_bounded() -> None:
    """More than that are let go, and counted; those that are there stay, and room is taken when there is some."""
    eyes = Eyes(suspects_max=2)
    many = [difference(key=KEY._replace(state_key=name)) for name in "abcde"]
    eyes.see(*many)
    assert (eyes.suspicions.waiting, eyes.suspicions.shed) == (2, 3)
    eyes.see(*many[1:])
    assert (eyes.suspicions.waiting, eyes.suspicions.shed) == (2, 5)
    noted = eyes.see(*many[1:])
    assert [suspect.difference for suspect in noted.confirmed] == [many[1]]
    eyes.suspicions.settle(noted.confirmed[0], finding(), eyes.now, open_=False)
    eyes.see(many[2], many[4])
    assert (eyes.suspicions.waiting, eyes.suspicions.shed) == (2, 7)
    assert eyes.see() == ([], [])
    assert (eyes.suspicions.waiting, eyes.suspicions.open) == (0, 0)


def test_a_way_that_leads_nowhere_takes_no_room_from_others() -> None:
    """Promise 8: with a region down all lags, which is explained; what is wrong elsewhere is found all the same."""
    eyes = Eyes(suspects_max=10, lagging_max=3)
    down = {ELSEWHERE: Way(0, 100)}
    many = [lagging(place=ELSEWHERE, key=KEY._replace(state_key=name)) for name in "abcdefghijkl"]
    for _ in range(SIGHTINGS_MIN - 1):
        assert eyes.see(*many, difference(), lagging("0", place=GRAPH), ways=down).confirmed == []
    assert (eyes.suspicions.waiting, eyes.suspicions.shed) == (5, 0)
    (confirmed,) = eyes.see(*many, difference(), ways=down).confirmed
    assert confirmed.difference == difference()


def test_what_lags_without_a_reason_and_has_no_room_is_counted() -> None:
    """Nothing explains it, so somebody has to know that it was let go; and room is given back."""
    eyes = Eyes(lagging_max=1)
    arrived = {CACHE: Way(100, 100)}
    eyes.see(lagging(), lagging(key=OTHER), ways=arrived)
    assert (eyes.suspicions.waiting, eyes.suspicions.shed) == (1, 1)
    eyes.see(difference(), lagging(key=OTHER), ways=arrived)
    assert (eyes.suspicions.waiting, eyes.suspicions.shed) == (2, 1)


def test_a_place_that_is_no_more_has_no_suspects() -> None:
    """A region that was retired is never compared again: its suspects go, and its findings are closed."""
    eyes = Eyes()
    ahead = difference(Kind.AHEAD, place=ELSEWHERE)
    (confirmed,) = confirmed_once(eyes, ahead).confirmed
    eyes.suspicions.settle(confirmed, finding(), eyes.now, open_=True)
    eyes.see(ahead, lagging(place=ELSEWHERE, key=OTHER))
    assert eyes.see(places=(CACHE,), away=(ELSEWHERE,)).gone == []
    assert (eyes.suspicions.open, eyes.suspicions.waiting) == (1, 1)
    assert eyes.see(places=(CACHE,), away=(GRAPH,)).gone == [finding()]
    assert (eyes.suspicions.open, eyes.suspicions.waiting) == (0, 0)


def test_who_has_waited_longest_is_due_first() -> None:
    """However many wait, nobody waits for ever."""
    eyes = Eyes()
    players = [f"player {n}" for n in range(9)]
    differences = [difference(key=Key(player_id, "gold")) for player_id in players]
    for at, one in enumerate(differences):
        eyes.suspicions.note([players[at]], [CACHE], [one], {}, at)
    now = LOOK_AGAIN_MS + 6
    met = eyes.suspicions.due(now, 4)
    assert met == players[:4]
    for player_id in met:
        eyes.suspicions.note([player_id], [CACHE], [differences[players.index(player_id)]], {}, now)
    assert eyes.suspicions.due(now + LOOK_AGAIN_MS, 100)[:5] == players[4:]
    assert eyes.suspicions.due(now, 100) == players[4:7]


def test_what_is_recalled_is_bounded_and_displaces_nothing() -> None:
    """However much others have seen; a suspect that is there already keeps its time."""
    suspicions = Suspicions(lambda _place: STALE_MS, lagging_max=2)
    for n in range(5):
        suspicions.recall(lagging(key=Key(f"player-{n}", "gold")), -STALE_MS, 0)
    suspicions.recall(lagging(key=Key("player-0", "gold"), found="a:1"), 0, 0)
    assert suspicions.waiting == 2
