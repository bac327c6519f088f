"""The mapping from a journal's events to updates: what each says, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from elite_journals.changes import Change, NotUnderstood
from elite_journals.format import EliteJournal
from elite_journals.mapping import EVENTS, RANKS, updates_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.journals import Event, event, hold, materials, stack, write_collection
from playerstate.core.check import Checker
from playerstate.core.model import Update
from playerstate.core.schema import parse_schema
from playerstate.replay import Source

FORMAT = EliteJournal()


def paid(op: str, n: int) -> Change:
    return Change("credits", op, {"n": n})


def item(key: str, op: str, name: str, n: int) -> Change:
    return Change(key, op, {"item": name, "n": n})


def read(path: Path) -> tuple[list[Update], Source]:
    return list(FORMAT.read([path])), FORMAT.plain_replay([path]).source


@pytest.mark.parametrize(
    ("entry", "updates"),
    [
        (event("RefuelAll", Cost=59, Amount=1.067), [[paid("subtract", 59)]]),
        (event("RedeemVoucher", Type="bounty", Amount=500.0), [[paid("add", 500)]]),
        (
            event("ModuleBuy", BuyPrice=100, SellPrice=130),
            [[paid("add", 30)]],
        ),
        (
            event("SellOrganicData", BioData=[{"Value": 10, "Bonus": 40}, {"Value": 5}]),
            [[paid("add", 55)]],
        ),
        (event("MiningRefined", Type="$Platinum_Name;"), [[item("cargo", "add", "platinum", 1)]]),
        (
            event("CargoDepot", UpdateType="Deliver", CargoType="ConductiveFabrics", Count=24),
            [[item("cargo", "subtract", "conductivefabrics", 24)]],
        ),
        (
            event("MaterialTrade", Paid={"Material": "a", "Quantity": 6}, Received={"Material": "b", "Quantity": 1}),
            [[item("materials", "subtract", "a", 6), item("materials", "add", "b", 1)]],
        ),
        (
            event(
                "CargoTransfer",
                Transfers=[
                    {"Type": "tritium", "Count": 7, "Direction": "toship"},
                    {"Type": "gold", "Count": 2, "Direction": "tocarrier"},
                ],
            ),
            [[item("cargo", "add", "tritium", 7), item("cargo", "subtract", "gold", 2)]],
        ),
        (
            event("EngineerContribution", Type="Commodity", Commodity="metaalloys", Quantity=1),
            [[item("cargo", "subtract", "metaalloys", 1)]],
        ),
        (
            event("Friends", Name="cmdr-b", Status="Lost"),
            [
                [
                    Change("friends", "remove", {"elements": ["cmdr-b"]}),
                    Change("presence", "remove", {"field": "cmdr-b"}),
                ]
            ],
        ),
        (
            event("Touchdown", PlayerControlled=True, StarSystem="Sol", Latitude=1.5, Longitude=-2.0),
            [[Change("position", "set", {"value": {"system": "Sol", "latitude": 1.5, "longitude": -2.0}})]],
        ),
    ],
    ids=lambda value: value["event"] if isinstance(value, dict) else "",
)
def test_an_event_becomes_these_changes(entry: Event, updates: list[list[Change]]) -> None:
    """Each of these events says exactly this about the state."""
    assert updates_of(entry) == updates


def test_a_purchase_is_one_update() -> None:
    """Credits and goods change together: a purchase that is refused must not leave the goods behind."""
    assert updates_of(event("MarketBuy", Type="gold", Count=4, TotalCost=400)) == [
        [paid("subtract", 400), item("cargo", "add", "gold", 4)]
    ]


def test_ranks_are_updates_of_their_own() -> None:
    """They do not depend on one another, and `Promotion` speaks of one of them only."""
    assert len(updates_of(event("Rank", **dict.fromkeys(RANKS, 1)))) == len(RANKS)
    assert updates_of(event("Promotion", CQC=2)) == [[Change("rank_cqc", "set", {"value": 2})]]


def test_a_snapshot_adds_up_the_entries_of_one_item() -> None:
    """The same item stands twice when some of it is stolen; what is not there is not in the snapshot."""
    inventory = [*stack(gold=2, silver=0), {"Name": "gold", "Count": 3, "Stolen": 3}]
    assert updates_of(event("Cargo", Vessel="Ship", Count=5, Inventory=inventory)) == [
        [Change("cargo", "replace", {"items": {"gold": 5}})]
    ]


@pytest.mark.parametrize(
    "entry",
    [
        event("Music", MusicTrack="NoTrack"),
        event("Cargo", Vessel="Ship", Count=9),
        event("Cargo", Vessel="SRV", Count=1, Inventory=stack(gold=1)),
        event("NpcCrewPaidWage", Amount=0),
        event("Friends", Name="cmdr-b", Status="Requested"),
        event("Liftoff", PlayerControlled=False, StarSystem="Sol"),
        event("EngineerContribution", Type="Bounty", Quantity=100),
        event("ModuleStore", Slot="Slot01"),
    ],
    ids=lambda entry: entry["event"],
)
def test_an_event_that_changes_nothing_becomes_no_update(entry: Event) -> None:
    """Neither do events that the mapping does not know."""
    assert updates_of(entry) == []


@pytest.mark.parametrize("amount", [None, -1, 1.5, float("inf"), True, "100", [], 2**60], ids=repr)
def test_an_amount_that_is_no_whole_number_is_not_understood(amount: Any) -> None:
    """It is never rounded, and never taken for zero."""
    with pytest.raises(NotUnderstood):
        updates_of(event("RefuelAll", Cost=amount))
    with pytest.raises(NotUnderstood):
        updates_of(event("MarketBuy", Type="gold", TotalCost=1, Count=amount))


@pytest.mark.parametrize(
    "entry",
    [
        event("RefuelAll"),
        event("MarketBuy", Type="gold", Count=1),
        event("Materials", Raw=stack(iron=1), Manufactured=[]),
        event("MaterialCollected", Name=7, Count=1),
        event("MaterialCollected", Name="$;", Count=1),
        event("MaterialTrade", Paid=None, Received={"Material": "b", "Quantity": 1}),
        event("EngineerCraft", Ingredients=["iron"]),
        event("Friends", Name="cmdr-b", Status="Enchanted"),
        event("FSDJump"),
        event("LoadGame"),
    ],
    ids=lambda entry: entry["event"],
)
def test_an_event_without_what_its_name_promises_is_not_understood(entry: Event) -> None:
    """Half of an event is worse than none."""
    with pytest.raises(NotUnderstood):
        updates_of(entry)


def test_noise_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    """Every event that cannot be used and every line that is no event is counted; those around them are read."""
    path = write_collection(
        tmp_path / "noisy.jsonl", {"s": [event("RefuelAll", Cost=-5), hold(gold=1), event("Music")]}
    )
    with path.open("ab") as file:
        file.write(b'{"fid": "F1", "file": "s", "ev": {"event": "RefuelAll", "Cost": 7\n')
        file.write(b'\xff\xfe\n[]\n\n{"fid": 7, "file": "s", "ev": {"event": "Music"}}\n{"fid": "F1", "file": "s"}\n')
        file.write(b'{"fid": "F1", "file": "s", "ev": {"event": "RefuelAll", "Cost": NaN}}\n')
        file.write(b"[" * 100_000 + b"\n")
        file.write(json.dumps({"fid": "F1", "file": "s", "ev": event("RefuelAll", Cost=3)}).encode())
    updates, source = read(path)
    assert [update.ops[0].op for update in updates] == ["replace", "subtract"]
    assert source.not_understood == {"RefuelAll": 1}
    assert source.ignored == {"Music": 1}
    assert source.malformed == len(source.malformed_lines) == 7
    assert source.malformed_lines[0].startswith("noisy.jsonl:4: not JSON")


def test_what_the_schema_would_refuse_is_not_sent(tmp_path: Path) -> None:
    """Names with control characters, too long ones, and impossible players are not understood, and leave no gap."""
    events = [event("MiningRefined", Type=name) for name in ("gold", "go\nld", "g" * 200, "silver")]
    updates, source = read(write_collection(tmp_path / "a.jsonl", {"s": events}))
    assert [update.sequence for update in updates] == [1, 2]
    assert source.not_understood == {"MiningRefined": 2}
    updates, source = read(write_collection(tmp_path / "b.jsonl", {"s": events}, fid="F{1}"))
    assert updates == []
    assert source.not_understood == {"MiningRefined": 4}


def test_identities_follow_from_the_files(tmp_path: Path) -> None:
    """The producer is the session, sequences count its updates of a first key, and reading again says the same."""
    sessions = {"s1": [materials(), hold(), materials()], "s2": [materials()]}
    path = write_collection(tmp_path / "a.jsonl", sessions)
    identities = [(u.producer, u.first_key.state_key, u.sequence) for u in FORMAT.read([path])]
    assert identities == [
        ("elite:F1:s1", "materials", 1),
        ("elite:F1:s1", "cargo", 1),
        ("elite:F1:s1", "materials", 2),
        ("elite:F1:s2", "materials", 1),
    ]
    assert list(FORMAT.read([path, path])) == list(FORMAT.read([path]))


def test_the_games_own_file_is_read_too(tmp_path: Path) -> None:
    """It is one session, and names its commander after the first events."""
    path = tmp_path / "Journal.2.log"
    events = [
        event("Friends", Name="cmdr-b", Status="Online"),
        event("Commander", FID="F1", Name="cmdr-a"),
        materials(),
    ]
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in events), "utf-8")
    updates, source = read(path)
    assert {(u.producer, u.first_key.player_id) for u in updates} == {("elite:F1:Journal.2.log", "F1")}
    assert (source.events, source.updates, source.malformed) == (3, 2, 0)


def test_a_file_that_names_no_commander_is_reported(tmp_path: Path) -> None:
    """Nobody knows whose events they are."""
    path = tmp_path / "Journal.3.log"
    path.write_text(json.dumps(event("RefuelAll", Cost=1)), "utf-8")
    updates, source = read(path)
    assert updates == []
    assert source.malformed_lines == ["Journal.3.log:1: the file does not say whose it is"]


numbers = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3))
plain_json = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["Name", "Count", "Type"]), inner, max_size=3)
    ),
    max_leaves=6,
)
fields = ["Name", "Type", "Count", "Cost", "TotalCost", "Inventory", "Raw", "Status", "StarSystem", "Reward", "Rank"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(EVENTS)), rest=st.dictionaries(st.sampled_from(fields), plain_json))
def test_no_event_breaks_the_reader(tmp_path: Path, name: str, rest: Event) -> None:
    """Whatever an event holds, what is read from it is something that the schema takes."""
    path = write_collection(tmp_path / "any.jsonl", {"s": [{"event": name, **rest}]})
    checker = Checker(parse_schema(FORMAT.schema_text()))
    for update in FORMAT.read([path]):
        checker.check(update)
