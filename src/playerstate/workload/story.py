"""The story of `demo --regions`: two players, several regions, and what goes wrong between them.

    ada has gold, a sword and arrows; bob has gold. The last region is cut off in the middle, and reached again.

Each scene is what really happened: outcomes are the regions' answers, values are read from their caches.
"""

from __future__ import annotations

from collections.abc import Iterator

from playerstate.core.model import Json, Key, Op, Transition
from playerstate.runtime.replication import LinkSettings
from playerstate.workload.recorder import LIMIT_S, Recorder
from playerstate.workload.scenes import Scene

PLAYERS = ("ada", "bob")
WAY = LinkSettings(lag_ms=600, jitter_ms=200)
"""Slow enough for a reader to see what lies between."""

GOLD, ARROWS, FRIENDS = Key("ada", "gold"), Key("ada", "inventory"), Key("ada", "friends")
STATUS, TITLE, EXPERIENCE = Key("ada", "status"), Key("ada", "title"), Key("ada", "experience")
BOB_GOLD, BOB_ITEMS = Key("bob", "gold"), Key("bob", "inventory")

APPLIED = frozenset({"applied"})
NOT_HERE = frozenset({"refused:rights_elsewhere", "refused:insufficient"})

SHIP, BOAT, SWORD = 200, 120, 50
"""What things cost."""


def gold(player: str, name: str, n: int) -> Op:
    """A player's gold changes."""
    return Op(player, "gold", name, n=n)


def items(player: str, name: str, item: str, n: int) -> Op:
    """A player's inventory changes."""
    return Op(player, "inventory", name, item=item, n=n)


def story(recorder: Recorder) -> Iterator[Scene]:
    """The scenes, each when it has happened."""
    _warm_up(recorder)
    recorder.every_way(WAY)
    yield _written_everywhere(recorder)
    yield _cut_off(recorder)
    yield _same_gold_twice(recorder)
    yield _trade(recorder)
    yield _both_sides(recorder)
    yield _healed(recorder)


def _warm_up(recorder: Recorder) -> None:
    """Have every way carry something, one region after the other: a way that begins copies all there is, at once."""
    for name in recorder.names:
        recorder.do({name: [Op("warm-up", "experience", "add", n=1)]})
        recorder.agreed(["warm-up"])


def _written_everywhere(recorder: Recorder) -> Scene:
    near, far = recorder.names[0], recorder.names[-1]
    scene = Scene(
        "One player, written in every region at once",
        f"Every region accepts updates by itself. News travels between them in {WAY.lag_ms} to "
        f"{WAY.lag_ms + WAY.jitter_ms} ms.",
    )
    earned = {name: 300 if name == near else 3 if name == far else 30 for name in recorder.names}
    wanted = {
        name: [gold("ada", "add", n), items("ada", "add", "arrow", 10), Op("ada", "experience", "add", n=100)]
        for name, n in earned.items()
    }
    wanted[near] += [items("ada", "add", "sword", 1), Op("ada", "friends", "add", elements=["cleo"])]
    outcomes = recorder.do({name: wanted[name] for name in reversed(recorder.names)})
    for name, n in earned.items():
        sword = ", a sword and a friend" if name == near else ""
        scene.expect(f"{name} gives ada {n} gold, 10 arrows{sword}", outcomes[name], APPLIED)
    scene.look("before they hear of each other", recorder, [GOLD, ARROWS])
    bob = recorder.do({near: [gold("bob", "add", 100)]})
    scene.expect(f"{near} gives bob 100 gold", bob[near], APPLIED)
    scene.agree(recorder, PLAYERS)
    scene.look("after", recorder, [GOLD, ARROWS])
    return scene


def _cut_off(recorder: Recorder) -> Scene:
    near, far = recorder.names[0], recorder.names[-1]
    recorder.cut_off(far)
    scene = Scene(
        f"A partition: {far} is cut off",
        "Nothing passes to it or from it. Every region goes on answering, from what it knows.",
    )
    outcomes = recorder.do({name: [Op("ada", "experience", "add", n=10)] for name in recorder.names})
    scene.expect_all("adds 10 to ada's experience", outcomes, APPLIED)
    scene.look("both sides", recorder, [EXPERIENCE], [near, far])
    return scene


def _same_gold_twice(recorder: Recorder) -> Scene:
    near, far = recorder.names[0], recorder.names[-1]
    scene = Scene(
        "The same gold, in two regions",
        "Both sides see enough gold for a ship, and it is enough for one. A region spends only what it holds the "
        "rights to: what was earned there, and what other regions gave it.",
    )
    scene.look("before", recorder, [GOLD], [near, far])
    buying = [gold("ada", "subtract", SHIP), items("ada", "add", "ship", 1)]
    outcomes = recorder.do({near: buying, far: buying})
    scene.expect(f"{near} sells ada a ship for {SHIP}", outcomes[near], APPLIED)
    scene.expect(f"{far}, cut off, is asked for the same", outcomes[far], NOT_HERE)
    scene.look("after", recorder, [GOLD, ARROWS], [near, far])
    return scene


def _trade(recorder: Recorder) -> Scene:
    near, far = recorder.names[0], recorder.names[-1]
    scene = Scene(
        "A trade of two players, all or nothing",
        "One update of four operations over two players: ada's sword for bob's gold. Tried on both sides.",
    )
    trade = [
        items("ada", "subtract", "sword", 1),
        items("bob", "add", "sword", 1),
        gold("bob", "subtract", SWORD),
        gold("ada", "add", SWORD),
    ]
    outcomes = recorder.do({near: trade, far: trade})
    scene.expect(f"{near}: the sword for {SWORD} gold", outcomes[near], APPLIED)
    scene.expect(f"{far}, where the sword seems to be there still", outcomes[far], NOT_HERE)
    scene.look("both sides", recorder, [GOLD, ARROWS, BOB_GOLD, BOB_ITEMS], [near, far])
    return scene


def _both_sides(recorder: Recorder) -> Scene:
    near, far = recorder.names[0], recorder.names[-1]
    scene = Scene(
        "Sets, inventories and registers, on both sides of the partition",
        "Adding to a set wins over removing at the same time; amounts add up; a register shows the later value, a "
        "multi-register both.",
    )
    done: list[tuple[str, list[Op], str]] = [
        (near, [Op("ada", "friends", "remove", elements=["cleo"])], "removes cleo from ada's friends"),
        (near, [Op("ada", "friends", "add", elements=["eve"])], "adds eve"),
        (far, [Op("ada", "friends", "add", elements=["cleo", "dora"])], "adds cleo, once more, and dora"),
        (near, [items("ada", "add", "arrow", 7)], "gives ada 7 arrows"),
        (far, [items("ada", "subtract", "arrow", 4)], "has ada shoot 4 arrows"),
        (near, [Op("ada", "status", "set", value="online")], "sets ada's status to online"),
        (far, [Op("ada", "status", "set", value="away")], "sets it to away, a moment later"),
        (near, [Op("ada", "title", "set", value="Explorer")], "sets ada's title to Explorer"),
        (far, [Op("ada", "title", "set", value="Smith")], "sets it to Smith"),
    ]
    for region, ops, what in done:
        scene.expect(f"{region} {what}", recorder.do({region: ops})[region], APPLIED)
    scene.look("both sides", recorder, [FRIENDS, ARROWS, STATUS, TITLE], [near, far])
    return scene


def _healed(recorder: Recorder) -> Scene:
    far = recorder.names[-1]
    recorder.heal(far)
    scene = Scene(
        "Healing",
        f"{far} is reached again. Rows are joined, not overwritten; nobody has to choose.",
    )
    scene.agree(recorder, PLAYERS)
    scene.look("what all show", recorder, [GOLD, ARROWS, FRIENDS, STATUS, TITLE, EXPERIENCE, BOB_GOLD, BOB_ITEMS])
    if not recorder.regions.settle(timeout_s=LIMIT_S):
        scene.wrong.append("the regions do not come to rest")
    _tell_of_conflict(scene, recorder)
    again = [gold("ada", "subtract", BOAT), items("ada", "add", "boat", 1)]
    scene.say(f"{far} was refused for want of rights, and the others have given it what they hold")
    scene.expect(f"{far} sells ada a boat for {BOAT}, as an update of its own", recorder.do({far: again})[far], APPLIED)
    scene.agree(recorder, PLAYERS)
    scene.look("after", recorder, [GOLD, ARROWS])
    return scene


def _tell_of_conflict(scene: Scene, recorder: Recorder) -> None:
    """What the history keeps of a conflict: what each side had, and what came of it."""
    record = _joined(recorder, STATUS)
    if record is None:
        scene.wrong.append(f"no history says how the two sides of {STATUS} were joined")
        return
    scene.say(f"The history of {STATUS}, written by {record.region}, keeps what each side had and what came of it:")
    for side in record.sides:
        scene.say(f"    {side.region} had {side.value} at {side.version}")
    scene.say(f"    it is {bytes(record.after).decode()} at {record.version}")


def _joined(recorder: Recorder, key: Key) -> Transition | None:
    for name in recorder.names:
        for transition in recorder.regions[name].service.history(*key, everywhere=False).transitions:
            if transition.sides:
                return transition
    return None


def final_values(recorder: Recorder) -> dict[str, Json]:
    """What the players of the story have, as the first region shows it."""
    keys = [GOLD, ARROWS, FRIENDS, STATUS, TITLE, EXPERIENCE, BOB_GOLD, BOB_ITEMS]
    return {str(key): recorder.shown(recorder.names[0], key).value for key in keys}
