"""Loads a file of friendships as friend sets, and asks the graph who the friends of friends are.

    python examples/twitch_friends.py ENGB_edges.csv --data ./twitch --players 20

The file has the columns `from,to`, one friendship a line, as the Twitch networks of Rozemberczki et al. 2021,
"Multi-scale attributed node embedding", have them. The graph's answers are compared with those of plain Python; the
exit code is 1 if any differ.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import playerstate
from playerstate.api import PlayerState
from playerstate.core.answers import Answer, Rejected
from playerstate.core.model import Op, Update
from playerstate.errors import SlowDown

SCHEMA = """
[game]
name = "twitch-friends"
version = 1

[keys.friends]
type = "set"
edge = { label = "FRIEND", to = "Player" }
"""
ELEMENTS_MAX = 500
BATCH_SIZE = 200
DRAIN_S = 600.0

Friends = Mapping[str, set[str]]


def read_friends(path: Path) -> Friends:
    """Every player's friends; a friendship goes both ways. Raises `ValueError` for a file of another form."""
    friends: defaultdict[str, set[str]] = defaultdict(set)
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        if next(rows, None) != ["from", "to"]:
            raise ValueError(f"{path}: expected the columns from,to")
        for number, row in enumerate(rows, start=2):
            if len(row) != 2 or not all(row):
                raise ValueError(f"{path}:{number}: expected two players")
            one, other = row
            if one != other:
                friends[one].add(other)
                friends[other].add(one)
    return friends


def updates_of(friends: Friends, producer: str) -> Iterator[Update]:
    """The updates that make the sets. Their identities follow from the file, so sending them again is harmless."""
    for player, theirs in friends.items():
        elements = sorted(theirs)
        for sequence, start in enumerate(range(0, len(elements), ELEMENTS_MAX), start=1):
            op = Op(player, "friends", "add", elements=elements[start : start + ELEMENTS_MAX])
            yield Update([op], producer, sequence, time.time_ns() // 1_000_000)


def load(node: PlayerState, friends: Friends, producer: str) -> int:
    """Send the sets, and wait until the graph has them. Returns how many updates it took."""
    sent = 0
    updates = updates_of(friends, producer)
    while batch := list(islice(updates, BATCH_SIZE)):
        rejected = [answer.message for answer in _send(node, batch) if isinstance(answer, Rejected)]
        if rejected:
            raise ValueError(rejected[0])
        sent += len(batch)
    if not node.drain(timeout_s=DRAIN_S):
        raise TimeoutError(f"the graph is not there after {DRAIN_S:.0f} s")
    return sent


def friends_of_friends(friends: Friends, player: str) -> list[str]:
    """Plain Python's answer: who is two friendships away, and neither the player nor a friend."""
    theirs = friends[player]
    return sorted(set().union(*(friends[friend] for friend in theirs)) - theirs - {player})


def compare(node: PlayerState, friends: Friends, players: Sequence[str]) -> bool:
    """Print a line for each player; whether the graph's answers are all those of plain Python."""
    print(f"{'player':>10} {'friends':>8} {'theirs':>8} {'ms':>8}")
    agree = True
    for player in players:
        expected = friends_of_friends(friends, player)
        begun = time.perf_counter()
        found = node.friends_of_friends(player, "FRIEND", limit=len(friends))
        took_ms = (time.perf_counter() - begun) * 1000
        same = found == expected and node.neighbours(player, "FRIEND") == sorted(friends[player])
        agree = agree and same
        verdict = "" if same else f"   the graph has {len(found)}, or others"
        print(f"{player:>10} {len(friends[player]):>8} {len(expected):>8} {took_ms:>8.1f}{verdict}")
    return agree


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, compare, and say so."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("edges", type=Path, help="the file of friendships")
    parser.add_argument("--data", type=Path, default=Path("data"), help="the node's data folder")
    parser.add_argument("--players", type=int, default=20, help="how many players to compare")
    parser.add_argument("--seed", type=int, default=1, help="which players to compare")
    options = parser.parse_args(arguments)
    friends = read_friends(options.edges)
    node = playerstate.open(options.data, schema=SCHEMA)
    try:
        begun = time.perf_counter()
        sent = load(node, friends, f"twitch:{options.edges.name}")
        edges = sum(map(len, friends.values()))
        took_s = time.perf_counter() - begun
        print(f"{len(friends)} players with {edges} edges, in {sent} updates and {took_s:.1f} s")
        chosen = random.Random(options.seed).sample(sorted(friends), min(options.players, len(friends)))
        agree = compare(node, friends, chosen)
    finally:
        node.close()
    print("the graph and plain Python agree" if agree else "the graph and plain Python DIFFER")
    return 0 if agree else 1


def _send(node: PlayerState, batch: list[Update]) -> list[Answer]:
    while True:
        try:
            return node.send_many(batch)
        except SlowDown as exc:
            time.sleep(exc.retry_after_s)


if __name__ == "__main__":
    sys.exit(main())
