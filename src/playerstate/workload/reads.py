"""Hot reads: the node's own, next to a bare round trip of redis-py to the same server for the same fields."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle

import msgspec
import redis

from playerstate.core.model import Key
from playerstate.node import Node

SLICES = 6
"""Both are measured by turns, so that both meet the same moods of the machine."""
KEYS_MAX = 500


class ReadTimes(msgspec.Struct):
    """One caller that reads one key after the other."""

    per_second: float
    us_p50: float
    us_p99: float


class HotReads(msgspec.Struct):
    """`ratio` is how many times the bare round trip's median a read takes."""

    node_get: ReadTimes
    bare_hmget: ReadTimes
    ratio: float


def measure_reads(node: Node, players: Sequence[str], seconds: float) -> HotReads:
    """Read keys that the cache holds."""
    keys = [view.key for player in players for view in node.parts.cache.get_player(player).views.values()][:KEYS_MAX]
    bare = redis.Redis.from_url(node.cache_url)
    calls: tuple[Callable[[Key], object], Callable[[Key], object]] = (
        lambda key: node.service.get(key.player_id, key.state_key),
        lambda key: bare.hmget(f"player:{{{key.player_id}}}", key.state_key, f"{key.state_key}#v", "#complete"),
    )
    times: tuple[list[int], list[int]] = ([], [])
    for _ in range(SLICES):
        for call, all_taken in zip(calls, times, strict=True):
            all_taken.extend(_time(call, keys, seconds / SLICES / len(calls)))
    bare.close()
    ours, theirs = map(_summary, times)
    return HotReads(ours, theirs, ours.us_p50 / theirs.us_p50)


def _time(call: Callable[[Key], object], keys: Sequence[Key], seconds: float) -> list[int]:
    """How long each call took, in nanoseconds."""
    taken = []
    ends_at = time.perf_counter_ns() + int(seconds * 1e9)
    at = time.perf_counter_ns()
    for key in cycle(keys):
        call(key)
        before, at = at, time.perf_counter_ns()
        taken.append(at - before)
        if at >= ends_at:
            break
    return taken


def _summary(taken: list[int]) -> ReadTimes:
    ordered = sorted(taken)
    p50, p99 = (ordered[int(q * (len(ordered) - 1))] / 1000 for q in (0.5, 0.99))
    return ReadTimes(len(ordered) / (sum(ordered) / 1e9), p50, p99)
