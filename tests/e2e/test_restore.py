"""A backup becomes a region again: under a new name, with nothing twice, and with what the others know of its past."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from e2e.program import run
from e2e.test_regions import AP, EU, LIMIT_S, NAMES, THREADS, US, agreed, gold, outcome, update
from playerstate.api import PlayerState
from playerstate.backends.sqlite.stream import SqliteCheckpoints, SqliteStream
from playerstate.backup import back_up
from playerstate.core.answers import Accepted
from playerstate.core.model import Status
from playerstate.deployment import Deployment
from playerstate.errors import BackupRefused, FolderInUse, StartRefused, Unavailable
from playerstate.node import Node
from playerstate.regions import Regions, set_way
from playerstate.restore import next_incarnation, restore

US_2 = "us-east-1.2"


def settled(node: PlayerState, *updates: dict[str, Any]) -> None:
    """Send, and wait until all has taken effect."""
    assert all(isinstance(answer, Accepted) for answer in node.send_many(updates))
    assert node.drain(timeout_s=LIMIT_S)


def test_one_region(tmp_path: Path) -> None:
    """State, rights, graph, history and settings are those of the backup; what came after is set aside."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    befriend = update(("ada", "friends", "add", {"elements": ["bob"]}))
    with Node(data, options=THREADS) as node:
        settled(node.service, gold(10), befriend)
        (data / "settings.toml").write_text("[retention]\nhistory_days = 1000\n", "utf-8")
        back_up(data, backup)
        settled(node.service, gold(5))
        with pytest.raises(FolderInUse):
            restore(backup, data)
    restored = restore(backup, data)
    assert (restored.region, restored.predecessor) == ("local.2", "local")
    assert (data / "settings.toml").read_text("utf-8") == "[retention]\nhistory_days = 1000\n"
    with Node(data, options=THREADS) as node:
        assert node.region == "local.2"
        assert outcome(node.service, gold(4, "subtract")).status is Status.APPLIED
        assert outcome(node.service, gold(7, "subtract")).reason == "insufficient"
        assert node.service.get("ada", "gold").decoded() == 6
        assert node.service.neighbours("ada", "FRIEND") == ["bob"]
        assert node.service.drain(timeout_s=LIMIT_S)
        history = node.service.history("ada", "gold")
        assert {transition.region for transition in history.transitions} == {"local", "local.2"}
        assert list(history.not_read) == ["local"]  # what it did after the backup is not known
        assert outcome(node.service, gold(3, player="new")).status is Status.APPLIED
        assert outcome(node.service, gold(3, "subtract", player="new")).status is Status.APPLIED
    assert restored.set_aside is not None
    with Node(restored.set_aside, options=THREADS) as node:
        assert node.service.get("ada", "gold").decoded() == 15


def test_again_and_again(tmp_path: Path) -> None:
    """Every incarnation has a name that none had before, and all that they did is there."""
    data = tmp_path / "data"
    for n in range(1, 5):
        with Node(data, options=THREADS) as node:
            assert node.region == ("local" if n == 1 else f"local.{n}")
            settled(node.service, gold(10), gold(1, "subtract"), gold(5, player=f"only in {n}"))
            assert node.service.get("ada", "gold").decoded() == 9 * n
            back_up(data, tmp_path / f"backup-{n}")
        restore(tmp_path / f"backup-{n}", data)
    with Node(data, options=THREADS) as node:
        for n in range(1, 5):  # the rights of every incarnation, also to what nobody has touched since
            assert outcome(node.service, gold(5, "subtract", player=f"only in {n}")).status is Status.APPLIED
    assert restore(tmp_path / "backup-1", data).region == "local.6"
    with Node(data, options=THREADS) as node:
        assert node.service.get("ada", "gold").decoded() == 9


def test_one_of_several_regions(tmp_path: Path) -> None:
    """What the others know of its past comes back; what was on its stream and is known to them is not done twice."""
    backup = tmp_path / "backup"
    count = 3000
    with Regions(tmp_path / "world", NAMES, options=THREADS) as regions:
        us = regions[US].service
        settled(us, gold(1000))
        for start in range(0, count, 100):
            us.send_many([gold(1, player=f"p{n % 7}") for n in range(start, start + 100)])
        back_up(tmp_path / "world" / US, backup)
        assert outcome(us, gold(300, "subtract")).status is Status.APPLIED
        before = {player: agreed(regions, player) for player in ("ada", "p0", "p6")}
    assert waiting(shutil.copytree(backup, tmp_path / "looked at")) > 0
    (tmp_path / "world" / US / "store.db").write_bytes(b"")
    assert restore(backup, tmp_path / "world" / US).region == US_2
    with Regions(tmp_path / "world", options=THREADS) as regions:
        assert list(regions.nodes) == [EU, AP, US_2]
        assert {player: agreed(regions, player) for player in before} == before
        assert outcome(regions[US_2].service, gold(700, "subtract")).status is Status.APPLIED
        assert outcome(regions[US_2].service, gold(1, "subtract")).reason == "insufficient"
        settled(regions[US_2].service, update(("ada", "friends", "add", {"elements": ["eve"]})))
        state = agreed(regions)
        assert (state["gold"], state["friends"]) == (0, ["eve"])
        for node in regions.nodes.values():
            assert node.service.neighbours("ada", "FRIEND") == ["eve"]


def waiting(backup: Path) -> int:
    """How many records lie on a backup's stream that had not been applied."""
    stream, checkpoints = SqliteStream(backup / "stream.db"), SqliteCheckpoints(backup / "checkpoints.db")
    try:
        return stream.head() - checkpoints.load("apply")
    finally:
        stream.close()
        checkpoints.close()


def test_nothing_is_applied_before_its_past_is_known(tmp_path: Path) -> None:
    """A restored region that others are cut off from accepts updates, and applies them when they are back."""
    with Regions(tmp_path / "world", NAMES[:2], options=THREADS) as regions:
        settled(regions[US].service, gold(10))
        back_up(tmp_path / "world" / US, tmp_path / "backup")
        sent = gold(5, "subtract")
        assert outcome(regions[US].service, sent).status is Status.APPLIED
        assert agreed(regions)["gold"] == 5
    restore(tmp_path / "backup", tmp_path / "world" / US)
    set_way(Deployment(tmp_path / "world"), EU, US_2, cut=True)
    with Regions(tmp_path / "world", options=THREADS) as regions:
        us = regions[US_2].service
        answer = us.send(gold(10, "subtract"))
        assert isinstance(answer, Accepted)
        assert us.outcome(answer.identity, wait_s=0.3) is None
        regions.heal(EU, US_2)
        found = us.outcome(answer.identity, wait_s=LIMIT_S)
        assert found is not None
        assert (found.status, found.reason) == (Status.REFUSED, "insufficient")


def test_rights_that_it_had_given_away_since_are_not_taken_over(tmp_path: Path) -> None:
    """Promise 4: the rows of the backup say that they are its own; what the others have says better."""
    world = tmp_path / "world"
    with Regions(world, NAMES[:2], options=THREADS) as regions:
        us, eu = regions[US].service, regions[EU].service
        settled(us, gold(100))
        agreed(regions)
        back_up(world / US, tmp_path / "backup")
        assert outcome(eu, gold(100, "subtract")).reason == "rights_elsewhere"
        agreed(regions)
    restore(tmp_path / "backup", world / US)
    set_way(Deployment(world), EU, US_2, cut=True)
    with Regions(world, options=THREADS) as regions:
        us, eu = regions[US_2].service, regions[EU].service
        answer = us.send(gold(100, "subtract"))
        assert isinstance(answer, Accepted)
        assert outcome(eu, gold(100, "subtract")).status is Status.APPLIED
        assert us.outcome(answer.identity, wait_s=0.5) is None
        assert "waiting for the rows of eu-west-1" in us.stats().stages["apply"].last_error
        regions.heal(EU, US_2)
        found = us.outcome(answer.identity, wait_s=LIMIT_S)
        assert found is not None
        assert found.status is Status.REFUSED
        assert agreed(regions)["gold"] == 0
        assert us.stats().stages["apply"].last_error == ""


@pytest.mark.parametrize("at", [1, 2])
def test_a_restore_that_is_broken_off_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Wherever it ends, the region is not served under the old name again; the next try goes through."""
    world = tmp_path / "world"
    with Regions(world, NAMES[:2], options=THREADS) as regions:
        settled(regions[US].service, gold(30))
        agreed(regions)
        back_up(world / US, tmp_path / "backup")
    renames, real = 0, Path.rename

    def rename(path: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        if renames == at:
            raise KeyboardInterrupt
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            restore(tmp_path / "backup", world / US)
    with pytest.raises(StartRefused, match="has run"):
        Regions(world, options=THREADS)
    restored = restore(tmp_path / "backup", world / US)
    assert restored.region == "us-east-1.3"
    with Regions(world, options=THREADS) as regions:
        assert agreed(regions)["gold"] == 30
        assert outcome(regions["us-east-1.3"].service, gold(30, "subtract")).status is Status.APPLIED


def test_a_restore_that_the_disk_refuses_changes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there is where it was."""
    data = tmp_path / "data"
    with Node(data, options=THREADS) as node:
        settled(node.service, gold(30))
        back_up(data, tmp_path / "backup")
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name.endswith(".unfinished"):
            raise OSError(28, "No space left on device")
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(Unavailable, match="No space left"):
            restore(tmp_path / "backup", data)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "backup"}
    with Node(data, options=THREADS) as node:
        assert node.service.get("ada", "gold").decoded() == 30


def test_a_backup_is_not_served_as_it_is(tmp_path: Path) -> None:
    """Its store put where a region's was would hand out dots a second time."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    with Node(data, options=THREADS) as node:
        settled(node.service, gold(10))
        back_up(data, backup)
        settled(node.service, gold(5))
    for file in data.glob("store.db*"):
        file.unlink()
    shutil.copyfile(backup / "store.db", data / "store.db")
    with pytest.raises(StartRefused, match=r"store\.db is a backup of local, not the store of local"):
        Node(data, options=THREADS)


def test_what_cannot_be_restored(tmp_path: Path) -> None:
    """A damaged backup, another region's, and a folder that is something else; what is there stays as it was."""
    with Regions(tmp_path / "world", NAMES[:2], options=THREADS) as regions:
        settled(regions[US].service, gold(10))
        back_up(tmp_path / "world" / US, tmp_path / "backup")
    with pytest.raises(BackupRefused, match=r"is a backup of us-east-1, and .* is eu-west-1's"):
        restore(tmp_path / "backup", tmp_path / "world" / EU)
    with pytest.raises(BackupRefused, match="is no backup"):
        restore(tmp_path / "world", tmp_path / "world" / US)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(BackupRefused, match="is no data folder, and not empty"):
        restore(tmp_path / "backup", other)
    (tmp_path / "backup" / "store.db").write_bytes(b"\0" * 4096)
    with pytest.raises(BackupRefused, match="damaged"):
        restore(tmp_path / "backup", tmp_path / "world" / US)
    with Regions(tmp_path / "world", options=THREADS) as regions:
        assert list(regions.nodes) == [US, EU]
        assert agreed(regions)["gold"] == 10
    assert {path.name for path in tmp_path.glob("world/*")} == {US, EU, "deployment.json", "deployment.lock"}


def test_the_command(tmp_path: Path) -> None:
    """To a place where nothing is; it says what the region is called, and the next command finds it so."""
    data, backup, elsewhere = tmp_path / "data", tmp_path / "backup", tmp_path / "elsewhere"
    assert run("send", "ada", "gold", "add", "5", "--data", str(data)).code == 0
    assert run("backup", str(backup), "--data", str(data)).code == 0
    said = run("restore", str(backup), "--data", str(elsewhere), "--json")
    assert said.document() == {"region": "local.2", "predecessor": "local", "set_aside": None}
    assert run("get", "ada", "gold", "--data", str(elsewhere), "--json").document()["value"] == 5
    again = run("restore", str(backup), "--data", str(elsewhere))
    assert (again.code, "is set aside" in again.err) == (1, True)
    again = run("restore", str(backup), "--data", str(elsewhere), "--yes")
    assert (again.code, "is the region local.3" in again.out) == (0, True)
    assert run("restore", str(tmp_path / "nothing"), "--data", str(elsewhere), "--yes").code == 1


@pytest.mark.parametrize(
    ("region", "known", "following"),
    [
        ("us", [], "us.2"),
        ("us", ["us", "us.2"], "us.3"),
        ("us.2", ["us"], "us.3"),
        ("us.9", ["us.10", "eu.30"], "us.11"),
        ("v1.us", ["v1.us"], "v1.us.2"),
    ],
)
def test_names(region: str, known: list[str], following: str) -> None:
    """The next number that nobody has had."""
    assert next_incarnation(region, known) == following
