"""What a player's values were at a time, for people, and as data: with what it rests on, and what is not certain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from playerstate.cli import console
from playerstate.cli.moments import local_time
from playerstate.cli.recalling import Recalled
from playerstate.cli.transitions import note_what_is_missing
from playerstate.core.model import ERASE, Json, Transition
from playerstate.core.numbers import to_json_number
from playerstate.core.rebuild import How, Rebuild, Rebuilt
from playerstate.core.schema import KeySpec
from playerstate.core.steps import Range
from playerstate.core.version_vector import parse_vector

VALUE_SHOWN_MAX = 2_000


def show_recalled(recalled: Recalled, *, as_json: bool) -> None:
    """What each key was, with what that rests on, and what is not certain about it."""
    if as_json:
        console.document(_as_data(recalled))
        return
    told = False
    for name in sorted(recalled.keys | recalled.begins.keys()):
        for line in _lines(name, recalled):
            console.say(line)
            told = True
    if not told:
        console.say(f"Nothing is recorded for {recalled.player_id}.")
    for name in recalled.unknown:
        console.note(f"{name} is left out: this region's schema does not have it")
    note_what_is_missing(recalled.not_read)


def doubts(name: str, recalled: Recalled) -> list[str]:
    """Why a value may not be what it was; none if it is certain, but for what the regions' clocks say of the time."""
    found, begins, not_read = recalled.keys.get(name), recalled.begins.get(name), recalled.not_read
    told = [f"not all that {region} wrote could be read" for region in sorted(not_read)]
    if found is not None and found.missing:
        steps = _steps(found.missing)
        what = "so nothing is added up, and the last write is believed" if found.how is How.LAST else ""
        told.append(f"the history lacks the steps {steps}" + (f", {what}" if what else ""))
    behind = {region: gaps for region, gaps in recalled.behind.get(name, {}).items() if region not in not_read}
    if behind:
        steps = _steps(behind)
        told.append(f"the history is behind the store, or has let go of what was written: it lacks the steps {steps}")
    elif name in recalled.lost and not not_read:
        told.append("what was written may have been let go")
    told += [
        f"{region} wrote later without having seen that, and if it was told late, this is in the value"
        for region in recalled.joined_later.get(name, [])
    ]
    if found is not None and found.how is How.DIFFERED:
        told.append("the last writes had not seen each other, and each region showed what had come there")
    if begins is not None and _begins_later(begins):
        told.append("the history begins later than the key")
    return told


def _lines(name: str, recalled: Recalled) -> Iterator[str]:
    key, when = f"{recalled.player_id}/{name}", local_time(recalled.at)
    found, begins = recalled.keys.get(name), recalled.begins.get(name)
    if begins is not None and _begins_later(begins):
        yield f"{key} is not known at {when}."
        yield f"    {_beginning(begins)}"
    elif name in recalled.lost:
        yield f"{key} is not known at {when}."
    elif found is None or found.how is How.UNWRITTEN:
        spec = recalled.schema.keys[name]
        yield f"{key} had not been written by {when}: it was {_short(Rebuild(spec).result().value)}."
        if begins is not None:
            yield f"    First written at {local_time(begins.written_at)} by {begins.region}."
    else:
        if found.how is How.DIFFERED:
            yield f"{key} was not the same everywhere at {when}."
        else:
            yield f"{key} was {_short(found.value)} at {when}."
        yield from (f"    {line}" for line in _grounds(found, recalled.schema.keys[name]))
    yield from (f"    Not certain: {doubt}." for doubt in doubts(name, recalled))


def _grounds(found: Rebuilt, spec: KeySpec) -> Iterator[str]:
    if found.how is How.SUMMED:
        yield _sum_told(found, spec)
    for last in found.last:
        value = msgspec.json.decode(last.after)
        there = "" if value == found.value else f", and was {_short(value)} there"
        yield f"Last written at {local_time(last.written_at)} by {last.region}, version {last.version}{there}."
    if found.how is How.SUMMED and len(found.last) > 1:
        yield "These writes had not seen each other: readers of a region saw what had come there by then."
    if found.erased is not None:
        yield _erasure(found.erased)


def _sum_told(found: Rebuilt, spec: KeySpec) -> str:
    updates = sum([share.updates for share in found.shares.values()])
    if not updates:
        return "No update had changed it."
    shares = found.shares.items()
    if spec.type == "inventory":
        parts = [f"{share.updates:,} of {region}" for region, share in shares]
    else:
        parts = [f"{share.sums.get('', 0):+,d} by {share.updates:,} of {region}" for region, share in shares]
        parts.insert(0, f"{spec.start if spec.type == 'bounded_counter' else 0:,} to begin with")
    return f"The sum of {updates:,} update{'s' if updates > 1 else ''}: {', '.join(parts)}."


def _beginning(begins: Transition) -> str:
    if begins.epoch and bytes(begins.before) == b"null":
        return f"{_erasure(begins)} What it was before is gone for good."
    was = _short(msgspec.json.decode(begins.before))
    return f"Its history begins at {local_time(begins.written_at)}, when {begins.region} found it as {was}."


def _erasure(transition: Transition) -> str:
    reasons = [effect.field for cause in transition.causes for effect in cause.effects if effect.op == ERASE]
    why = f": {reasons[0]}" if reasons else ""
    return f"Erased at {local_time(transition.written_at)} by {transition.region}{why}."


def _begins_later(begins: Transition) -> bool:
    """Whether something had been written before the first write that is known."""
    return begins.first != 1 or parse_vector(begins.version) != {begins.region: begins.last}


def _steps(missing: Mapping[str, list[Range]]) -> str:
    return ", ".join(f"{region}:{_range(gap)}" for region, gaps in missing.items() for gap in gaps)


def _range(gap: Range) -> str:
    first, last = gap
    return str(first) if first == last else f"{first}-{last}"


def _short(value: Json) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return console.shortened(msgspec.json.encode(value).decode(), VALUE_SHOWN_MAX)


def _as_data(recalled: Recalled) -> dict[str, Any]:
    return {
        "player_id": recalled.player_id,
        "at": recalled.at,
        "keys": {name: _key_as_data(name, recalled) for name in sorted(recalled.keys | recalled.begins.keys())},
        "keys_unknown": recalled.unknown,
        "not_read": recalled.not_read,
    }


def _key_as_data(name: str, recalled: Recalled) -> dict[str, Any]:
    begins = recalled.begins.get(name)
    found = recalled.keys.get(name) or Rebuild(recalled.schema.keys[name]).result()
    told = doubts(name, recalled)
    known = name not in recalled.lost and (begins is None or not _begins_later(begins))
    return {
        "value": found.value if known else None,
        "how": found.how if known else "unknown",
        "version": found.version,
        "uncertain": told,
        "last": [
            {"region": last.region, "version": last.version, "written_at": last.written_at, "value": last.after}
            for last in found.last
        ],
        "sums": {
            region: {"updates": share.updates, "sums": {item: to_json_number(n) for item, n in share.sums.items()}}
            for region, share in found.shares.items()
        },
        "missing": found.missing,
        "behind": recalled.behind.get(name, {}),
        "erased_at": found.erased.written_at if found.erased else None,
        "begins_at": begins.written_at if begins else None,
    }
