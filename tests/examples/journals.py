"""Hand-written journals for the tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def event(name: str, **fields: Any) -> Event:
    """An event of the journal."""
    return {"timestamp": "3309-01-01T12:00:00Z", "event": name, **fields}


def stack(**counts: int) -> list[Event]:
    """A list of `{Name, Count}`."""
    return [{"Name": name, "Count": count} for name, count in counts.items()]


def materials(**counts: int) -> Event:
    """A snapshot of the materials."""
    return event("Materials", Raw=stack(**counts), Manufactured=[], Encoded=[])


def hold(**counts: int) -> Event:
    """A snapshot of the ship's hold."""
    return event("Cargo", Vessel="Ship", Count=sum(counts.values()), Inventory=stack(**counts))


def write_collection(path: Path, sessions: Mapping[str, Sequence[Event]], fid: str = "F1") -> Path:
    """A collection of sessions as JSON lines."""
    lines = [
        json.dumps({"fid": fid, "file": session, "line": number, "ev": entry})
        for session, events in sessions.items()
        for number, entry in enumerate(events)
    ]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


FIRST_SESSION = [
    event("Friends", Name="cmdr-b", Status="Online"),
    event("Commander", FID="F1", Name="cmdr-a"),
    materials(iron=10, carbon=3),
    event("Rank", Combat=2, Trade=0, Explore=4, Soldier=0, Exobiologist=0, Empire=1, Federation=0, CQC=0),
    event("LoadGame", FID="F1", Credits=1000),
    hold(drones=2),
    event("Location", StarSystem="Sol", Body="Earth", Docked=True, StationName="Galileo"),
    event("MarketBuy", Type="gold", Count=4, BuyPrice=100, TotalCost=400),
    event("MarketBuy", Type="platinum", Count=100, BuyPrice=100, TotalCost=10_000),
    event("FSDJump", StarSystem="Barnard's Star", Body="Barnard's Star", JumpDist=5.95),
    event("MarketSell", Type="gold", Count=4, SellPrice=150, TotalSale=600),
    event("EngineerCraft", Ingredients=stack(iron=4, carbon=1)),
    event("MaterialCollected", Category="Raw", Name="iron", Count=3),
    event("Promotion", Combat=3),
    event("Powerplay", Power="Edmund Mahon", Rank=2, Merits=500, TimePledged=9),
    event("SquadronStartup", SquadronName="squad-1", CurrentRank=3),
    event("Friends", Name="cmdr-c", Status="Added"),
    event("Shutdown"),
]
"""10 iron, less 4, and 3 more; 1000 credits less 400 and 600 more; the platinum is more than the credits allow."""

SECOND_SESSION = [
    materials(iron=9, carbon=2),
    event("LoadGame", FID="F1", Credits=1200),
    hold(drones=1),
    event("Backpack", Items=[], Components=[], Consumables=stack(healthpack=2), Data=[]),
    event("BackpackChange", Removed=stack(healthpack=1)),
    event("Disembark", StarSystem="Sol", Body="Earth", OnStation=False),
    event("Backpack", Items=[], Components=[], Consumables=stack(healthpack=1), Data=[]),
    event("Friends", Name="cmdr-b", Status="Lost"),
    event("PowerplayLeave", Power="Edmund Mahon"),
    event("LeftSquadron", SquadronName="squad-1"),
    event("NpcCrewPaidWage", Amount=0),
    event("Shutdown"),
]
"""All snapshots are as the first session leads to expect, but for a limpet."""

SESSIONS = {"Journal.1.log": FIRST_SESSION, "Journal.2.log": SECOND_SESSION}
