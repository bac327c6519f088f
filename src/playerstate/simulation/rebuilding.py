"""What must hold of histories: a checker (see `checkers`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from playerstate.core.model import Key, Transition
from playerstate.core.rebuild import SUMMED_TYPES, Rebuild
from playerstate.simulation.history import Committed, History


def rebuilt(history: History) -> Iterator[str]:
    """Promise 9, for numbers: what the audits of all regions say comes to what every region shows, and lacks no step.

    A region that is gone took its audit along. What it had done and told others of is added in its place; nothing else
    is. Says nothing of other types, nor of the values before and after.
    """
    dead = {gone.region for gone in history.gone}
    recorded: defaultdict[Key, list[Transition]] = defaultdict(list)
    for region, audit in history.audits.items():
        for transition in audit if region not in dead else ():
            recorded[Key(transition.player_id, transition.state_key)].append(transition)
    taken_along: defaultdict[Key, list[Committed]] = defaultdict(list)
    for gone in history.gone:
        for committed in history.committed:
            if committed.region == gone.region and committed.cause.n <= gone.reached.get(committed.key, 0):
                taken_along[committed.key].append(committed)
    for key in sorted({key for finals in history.finals.values() for key in finals}):
        spec = history.schema.keys[key.state_key]
        if spec.type not in SUMMED_TYPES:
            continue
        rebuild = Rebuild(spec)
        rebuild.add_all(recorded[key])
        for committed in taken_along[key]:
            rebuild.count(committed.region, committed.epoch, committed.cause)
        found = rebuild.result(not_read=dead)
        if found.missing:
            yield f"the audits lack steps of {key}: {found.missing}"
        for region, finals in history.finals.items():
            shown = finals[key].view if key in finals else found.value
            if found.value != shown:
                yield f"{key} in {region} is {shown}, but the audits come to {found.value}"
