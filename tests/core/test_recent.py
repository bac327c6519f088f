"""The largest of what was seen lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from playerstate.core.recent import WINDOW_S, RecentMax

notes = st.lists(st.tuples(st.floats(0, 200), st.integers(0, 9)), max_size=20)


@given(notes, st.floats(0, 100))
def test_what_is_recent_is_remembered_and_what_is_not_forgotten(noted: list[tuple[float, int]], later: float) -> None:
    """All of the last half minute counts, and nothing of more than a minute ago."""
    noted.sort()
    recent = RecentMax()
    for at, value in noted:
        recent.note(value, at)
    now = (noted[-1][0] if noted else 0.0) + later
    found = recent.value(now)
    assert found >= max((value for at, value in noted if at > now - WINDOW_S), default=0)
    assert found <= max((value for at, value in noted if at >= now - 2 * WINDOW_S), default=0)


def test_a_clock_that_is_set_back_forgets() -> None:
    """What was noted at a time that has not come yet says nothing."""
    recent = RecentMax()
    recent.note(7, 1000.0)
    assert recent.value(500.0) == 0
