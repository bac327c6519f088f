"""Recorded friendships of Twitch gamers (Rozemberczki et al. 2021, MUSAE) in the graph, against plain Python."""

from __future__ import annotations

import csv
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conformance.graph import SCHEMA, edges_of
from playerstate.backends.ladybug.graph import LadybugGraph
from playerstate.core.model import Key
from playerstate.stages.paths import shortest_path

BATCH_SIZE = 500

pytestmark = pytest.mark.sample_data


@pytest.fixture(scope="module")
def friends() -> dict[str, set[str]]:
    """Each player's friends; a friendship goes both ways."""
    data = os.environ.get("PLAYERSTATE_SAMPLE_DATA")
    if not data:
        pytest.skip("PLAYERSTATE_SAMPLE_DATA does not name a folder with the recorded inputs")
    found: defaultdict[str, set[str]] = defaultdict(set)
    with (Path(data) / "twitch-musae" / "ENGB_edges.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["from"]].add(row["to"])
            found[row["to"]].add(row["from"])
    return dict(found)


@pytest.fixture(scope="module")
def graph(friends: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LadybugGraph]:
    """A graph that was told of every player's friends."""
    batch = [edges_of(Key(player_id, "friends"), 1, *sorted(ends)) for player_id, ends in friends.items()]
    with closing(LadybugGraph(tmp_path_factory.mktemp("graph"), SCHEMA)) as graph:
        began = time.perf_counter()
        behind = sum(graph.sync(batch[at : at + BATCH_SIZE]) for at in range(0, len(batch), BATCH_SIZE))
        took_s = time.perf_counter() - began
        edges = sum(map(len, friends.values()))
        print(f"{edges} edges of {behind} players in {took_s:.2f} s: {edges / took_s:,.0f} edges/s")
        assert behind == len(friends)
        yield graph


def test_friends_of_friends(friends: dict[str, set[str]], graph: LadybugGraph) -> None:
    """For 200 players, and the one with most friends, they are those that plain Python finds."""
    players = [*random.Random(1).sample(sorted(friends), 200), max(friends, key=lambda p: (len(friends[p]), p))]
    for player in players:
        expected = set().union(*(friends[friend] for friend in friends[player])) - friends[player] - {player}
        assert graph.friends_of_friends(player, "FRIEND", len(friends)) == sorted(expected)
        assert graph.friends_of_friends(player, "FRIEND", 10) == sorted(expected)[:10]


def test_friends(friends: dict[str, set[str]], graph: LadybugGraph) -> None:
    """Friends in both directions are those of the recording; both directions agree, as friendship does."""
    players = random.Random(2).sample(sorted(friends), 200)
    expected = {player: friends[player] for player in players}
    assert graph.targets(players, "FRIEND") == expected
    assert graph.sources(players, "FRIEND") == expected


def test_paths(friends: dict[str, set[str]], graph: LadybugGraph) -> None:
    """Shortest paths between players are as long as layers of plain sets say."""
    chosen = random.Random(3)
    for _ in range(20):
        start, end = chosen.sample(sorted(friends), 2)
        path = shortest_path(graph, start, end, "FRIEND", edges_max=len(friends))
        layer, met, edges = {start}, {start}, 0
        while end not in met and layer:
            layer = set().union(*(friends[player] for player in layer)) - met
            met |= layer
            edges += 1
        assert path is not None
        assert len(path) == edges + 1
