"""What each event of the journal says about its player's state.

The table is the mapping. An event makes a list of updates, and each update is a tuple of parts whose changes
take effect together or not at all. Facts that do not depend on one another are updates of their own, so that
one that cannot be does not keep the others from taking effect. What is bought and sold for credits is one
update: a purchase that the credits do not cover must not leave the goods behind. The journal tells of what
the game has already allowed, so a refusal says that something before it is missing from the journal, and the
next snapshot puts it right.
"""

from __future__ import annotations

from elite_journals.changes import (
    Change,
    Event,
    NotUnderstood,
    Part,
    counted,
    credits_are,
    credits_by,
    gain,
    gain_all,
    holds,
    is_no_more,
    is_now,
    listed,
    lose,
    lose_all,
    mapping,
    money,
    name,
    reaches,
    switch,
    whole,
)

RANKS = ("Combat", "Trade", "Explore", "Soldier", "Exobiologist", "Empire", "Federation", "CQC")

_PLACE = {
    "StarSystem": "system",
    "Body": "body",
    "StationName": "station",
    "Latitude": "latitude",
    "Longitude": "longitude",
}


def updates_of(event: Event) -> list[list[Change]]:
    """The updates that an event makes, each a list of changes; none for an event that says nothing about
    state.

    Raises `NotUnderstood` for one that ought to, and cannot be read.
    """
    updates = [
        [change for part in parts for change in part(event)] for parts in EVENTS.get(str(event.get("event")), [])
    ]
    return [changes for changes in updates if changes]


def _position(event: Event) -> list[Change]:
    """Where the player is, as far as the event says."""
    name(event.get("StarSystem"))
    place = {ours: event[theirs] for theirs, ours in _PLACE.items() if theirs in event}
    return [Change("position", "set", {"value": place})]


def _own_position(event: Event) -> list[Change]:
    """The same, unless it is the empty ship that comes or goes at the player's call."""
    return _position(event) if event.get("PlayerControlled", True) else []


def _on_foot(event: Event) -> list[Change]:
    return [Change("on_foot", "enable" if event.get("OnFoot") else "disable", {})]


def _cargo_snapshot(event: Event) -> list[Change]:
    """The ship's hold. Most `Cargo` events only count it, and the buggy has a hold of its own."""
    if "Inventory" not in event or event.get("Vessel", "Ship") != "Ship":
        return []
    return holds("cargo", "Inventory")(event)


def _depot(event: Event) -> list[Change]:
    """A mission's goods, fetched from its depot or brought there; `WingUpdate` tells of what others did."""
    match event.get("UpdateType"):
        case "Collect":
            return gain("cargo", "CargoType", "Count")(event)
        case "Deliver":
            return lose("cargo", "CargoType", "Count")(event)
    return []


def _transfers(event: Event) -> list[Change]:
    """Between the ship and a carrier or the buggy: one movement of the hold, so it stands together."""
    changes: list[Change] = []
    for transfer in listed(event.get("Transfers")):
        op = "add" if transfer.get("Direction") == "toship" else "subtract"
        changes += counted("cargo", op, transfer.get("Type"), transfer.get("Count"))
    return changes


def _material_trade(event: Event) -> list[Change]:
    paid, received = mapping(event.get("Paid")), mapping(event.get("Received"))
    return [
        *counted("materials", "subtract", paid.get("Material"), paid.get("Quantity")),
        *counted("materials", "add", received.get("Material"), received.get("Quantity")),
    ]


def _organic_data(event: Event) -> list[Change]:
    return credits_by(sum(whole(d.get("Value")) + whole(d.get("Bonus", 0)) for d in listed(event.get("BioData"))))


def _contribution(event: Event) -> list[Change]:
    """What an engineer asks for. Vouchers (`Bond`, `Bounty`) are not part of the state."""
    match event.get("Type"):
        case "Commodity":
            return lose("cargo", "Commodity", "Quantity")(event)
        case "Materials":
            return lose("materials", "Material", "Quantity")(event)
        case "Credits":
            return money(spent=("Quantity",))(event)
    return []


def _friend(event: Event) -> list[Change]:
    """The journal says who is online, or has become or ceased to be a friend; it never lists all friends.

    So `Online` and `Offline` make a friend known too. A request is not yet a friendship.
    """
    friend = name(event.get("Name"))
    match event.get("Status"):
        case "Added":
            return [Change("friends", "add", {"elements": [friend]})]
        case "Online" | "Offline" as presence:
            return [
                Change("friends", "add", {"elements": [friend]}),
                Change("presence", "set", {"field": friend, "value": presence}),
            ]
        case "Lost":
            return [
                Change("friends", "remove", {"elements": [friend]}),
                Change("presence", "remove", {"field": friend}),
            ]
        case "Requested" | "Declined":
            return []
    raise NotUnderstood


def _costs(*fields: str) -> list[tuple[Part, ...]]:
    return [(money(spent=fields),)]


def _pays(*fields: str) -> list[tuple[Part, ...]]:
    return [(money(earned=fields),)]


_RANKS: list[tuple[Part, ...]] = [(reaches(f"rank_{rank.lower()}", rank),) for rank in RANKS]
_POSITION: list[tuple[Part, ...]] = [(_position,)]
_OWN_POSITION: list[tuple[Part, ...]] = [(_own_position,)]
_SQUADRON_GONE: list[tuple[Part, ...]] = [(is_no_more("squadron"), is_no_more("squadron_rank"))]

EVENTS: dict[str, list[tuple[Part, ...]]] = {
    # snapshots, written when a session begins; `Materials` comes before `LoadGame`
    "LoadGame": [(credits_are("Credits"),)],
    "Materials": [(holds("materials", "Raw", "Manufactured", "Encoded"),)],
    "Cargo": [(_cargo_snapshot,)],
    "Backpack": [(holds("backpack", "Items", "Components", "Consumables", "Data"),)],
    # goods for credits
    "MarketBuy": [(money(spent=("TotalCost",)), gain("cargo", "Type", "Count"))],
    "MarketSell": [(lose("cargo", "Type", "Count"), money(earned=("TotalSale",)))],
    "BuyDrones": [(money(spent=("TotalCost",)), gain("cargo", "Type", "Count"))],
    "SellDrones": [(lose("cargo", "Type", "Count"), money(earned=("TotalSale",)))],
    "SearchAndRescue": [(lose("cargo", "Name", "Count"), money(earned=("Reward",)))],
    # credits alone: what they buy is not part of the state
    "BookDropship": _costs("Cost"),
    "BookTaxi": _costs("Cost"),
    "BuyAmmo": _costs("Cost"),
    "BuyExplorationData": _costs("Cost"),
    "BuySuit": _costs("Price"),
    "BuyTradeData": _costs("Cost"),
    "BuyWeapon": _costs("Price"),
    "CrewHire": _costs("Cost"),
    "FetchRemoteModule": _costs("TransferCost"),
    "ModuleBuy": [(money(spent=("BuyPrice",), earned=("SellPrice",)),)],
    "ModuleRetrieve": [(money(spent=("Cost",), optional=True),)],
    "ModuleStore": [(money(spent=("Cost",), optional=True),)],
    "NpcCrewPaidWage": _costs("Amount"),
    "PayBounties": _costs("Amount"),
    "PayFines": _costs("Amount"),
    "RefuelAll": _costs("Cost"),
    "RefuelPartial": _costs("Cost"),
    "Repair": _costs("Cost"),
    "RepairAll": _costs("Cost"),
    "RestockVehicle": _costs("Cost"),
    "Resurrect": _costs("Cost"),
    "ShipyardBuy": [(money(spent=("ShipPrice",), earned=("SellPrice",)),)],
    "ShipyardTransfer": _costs("TransferPrice"),
    "CancelDropship": _pays("Refund"),
    "CancelTaxi": _pays("Refund"),
    "ModuleSell": _pays("SellPrice"),
    "ModuleSellRemote": _pays("SellPrice"),
    "MultiSellExplorationData": _pays("TotalEarnings"),
    "RedeemVoucher": _pays("Amount"),
    "SellExplorationData": _pays("TotalEarnings"),
    "SellMicroResources": _pays("Price"),
    "SellOrganicData": [(_organic_data,)],
    "ShipyardSell": _pays("ShipPrice"),
    # a reward's parts come from the same hand, and none of them can be refused; a donation has no reward
    "MissionCompleted": [
        (
            money(earned=("Reward",), spent=("Donated",), optional=True),
            gain_all("cargo", "CommodityReward"),
            gain_all("materials", "MaterialsReward"),
        )
    ],
    # cargo
    "CargoDepot": [(_depot,)],
    "CargoTransfer": [(_transfers,)],
    "CollectCargo": [(gain("cargo", "Type"),)],
    "EjectCargo": [(lose("cargo", "Type", "Count"),)],
    "LaunchDrone": [(lambda _: counted("cargo", "subtract", "drones", 1),)],
    "MiningRefined": [(gain("cargo", "Type"),)],
    "EngineerContribution": [(_contribution,)],
    # materials: what a recipe takes, it takes together
    "EngineerCraft": [(lose_all("materials", "Ingredients"),)],
    "MaterialCollected": [(gain("materials", "Name", "Count"),)],
    "MaterialDiscarded": [(lose("materials", "Name", "Count"),)],
    "MaterialTrade": [(_material_trade,)],
    "ScientificResearch": [(lose("materials", "Name", "Count"),)],
    "Synthesis": [(lose_all("materials", "Materials"),)],
    "TechnologyBroker": [(lose_all("cargo", "Commodities"), lose_all("materials", "Materials"))],
    # `CollectItems`, `DropItems` and `UseConsumable` tell the same once more
    "BackpackChange": [(lose_all("backpack", "Removed"), gain_all("backpack", "Added"))],
    # where
    "CarrierJump": _POSITION,
    "Docked": _POSITION,
    "FSDJump": _POSITION,
    "Liftoff": _OWN_POSITION,
    "Location": [(_position,), (_on_foot,)],
    "SupercruiseExit": _POSITION,
    "Touchdown": _OWN_POSITION,
    "Disembark": [(switch("on_foot", on=True),)],
    "Embark": [(switch("on_foot", on=False),)],
    # ranks do not depend on one another; what a power thinks of a player is of that power alone
    "Promotion": _RANKS,
    "Rank": _RANKS,
    "Powerplay": [
        (is_now("power", "Power"), is_now("power_rank", "Rank"), is_now("power_merits", "Merits")),
    ],
    "PowerplayJoin": [(is_now("power", "Power"),)],
    "PowerplayLeave": [(is_no_more("power"), is_no_more("power_rank"), is_no_more("power_merits"))],
    "PowerplayMerits": [(is_now("power_merits", "TotalMerits"),)],
    "PowerplayRank": [(is_now("power_rank", "Rank"),)],
    # people
    "Friends": [(_friend,)],
    "SquadronStartup": [(is_now("squadron", "SquadronName"), is_now("squadron_rank", "CurrentRank"))],
    "JoinedSquadron": [(is_now("squadron", "SquadronName"),)],
    "DisbandedSquadron": _SQUADRON_GONE,
    "KickedFromSquadron": _SQUADRON_GONE,
    "LeftSquadron": _SQUADRON_GONE,
}
"""Event -> the updates that it makes."""
