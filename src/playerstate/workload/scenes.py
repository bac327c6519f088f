"""What a story is made of: scenes, in which something is said and shown, and some things have to come out so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from playerstate.core.model import Json, Key
from playerstate.workload.recorder import Recorder


class Shown(msgspec.Struct):
    """What each region shows at one moment: region -> key -> value."""

    when: str
    regions: dict[str, dict[str, Json]]


class Scene(msgspec.Struct):
    """A part of the story, in the order in which it happened. `wrong` is what did not come out as it must."""

    title: str
    about: str
    told: list[str | Shown] = []
    wrong: list[str] = []

    def say(self, text: str) -> None:
        """Something that happened."""
        self.told.append(text)

    def look(self, when: str, recorder: Recorder, keys: Sequence[Key], regions: Sequence[str] = ()) -> None:
        """What readers see now, in all regions or in some."""
        names = regions or recorder.names
        values = {name: {str(key): recorder.shown(name, key).value for key in keys} for name in names}
        self.told.append(Shown(when, values))

    def expect(self, what: str, outcome: str, allowed: Collection[str]) -> None:
        """Something that was tried, and what must come of it."""
        self.told.append(f"{what}: {outcome}")
        if outcome not in allowed:
            self.wrong.append(f"{what}: {outcome}, where only {' or '.join(sorted(allowed))} is right")

    def expect_all(self, what: str, outcomes: Mapping[str, str], allowed: Collection[str]) -> None:
        """The same in several regions."""
        for region, outcome in outcomes.items():
            self.expect(f"{region} {what}", outcome, allowed)

    def agree(self, recorder: Recorder, players: Sequence[str]) -> None:
        """Wait until all regions show the same."""
        took_s = recorder.agreed(players)
        if took_s is None:
            self.wrong.append("the regions do not come to show the same")
        else:
            self.say(f"All regions show the same, {took_s:.1f} s later")
