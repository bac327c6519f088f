"""Updates in calls, as a client sends them that wants them to take effect in its order.

A call's updates are carried in one record per first player, and the records of different players promise no order. So
what touches one player under two first players goes into different calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from playerstate.core.model import Update


def in_calls(updates: Iterable[Update], size_max: int) -> Iterator[list[Update]]:
    """The updates in their order, cut into calls of at most `size_max`."""
    call: list[Update] = []
    first_players: dict[str, str] = {}
    for update in updates:
        first = update.first_key.player_id
        touched = {op.player_id for op in update.ops}
        if len(call) >= size_max or any(first_players.get(player, first) != first for player in touched):
            yield call
            call, first_players = [], {}
        call.append(update)
        first_players.update(dict.fromkeys(touched, first))
    if call:
        yield call
