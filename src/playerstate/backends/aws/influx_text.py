"""How names and values stand in InfluxDB's line protocol and in InfluxQL, and where on the axis of time.

No text that anybody chooses is a tag, a field's name, or part of a query. In points such texts are string fields, for
which one rule of quoting holds; what is searched for is their digests. InfluxQL could not quote everything (a carriage
return it reads as a line end), and servers log queries, which so name no player.
"""

from __future__ import annotations

from hashlib import blake2b

NS_PER_MS = 1_000_000
TIME_MIN_NS, TIME_MAX_NS = -(2**63) + 2, 2**63 - 2
"""What InfluxDB takes for a time: the years 1677 to 2262."""


def field(text: str) -> str:
    """A string as the value of a field in the line protocol. Line ends may stand in it as they are."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def digest(*texts: str, size: int = 8) -> bytes:
    """So many bytes that follow from the texts, and from where each of them ends."""
    return blake2b("\0".join([f"{len(text)}:{text}" for text in texts]).encode(), digest_size=size).digest()


def name(*texts: str) -> str:
    """What stands for texts where they are searched for, 16 hexadecimal digits. Within a slot it tells players apart:
    that two of 10,000,000 had slot and name in common has a chance of one in 20,000,000,000.
    """
    return digest(*texts).hex()


def slot(player_id: str) -> str:
    """In which of 65,536 series a player's points lie."""
    return digest(player_id, size=2).hex()


def time_ns(at_ms: int, *identity: str) -> int:
    """A time of its own within a millisecond, for what is identified so; the nearest that InfluxDB has."""
    within = max(min(at_ms, TIME_MAX_NS // NS_PER_MS - 1), TIME_MIN_NS // NS_PER_MS + 1)
    return within * NS_PER_MS + int.from_bytes(digest(*identity)) % NS_PER_MS


def next_time_ns(at_ns: int) -> int:
    """The nanosecond after it in the same millisecond, which begins again at its end."""
    return at_ns // NS_PER_MS * NS_PER_MS + (at_ns + 1) % NS_PER_MS


def during(since_ms: int | None, before_ms: int | None) -> str:
    """The condition that a time is in a range of milliseconds, its end excluded."""
    since = TIME_MIN_NS if since_ms is None else max(since_ms * NS_PER_MS, TIME_MIN_NS)
    before = TIME_MAX_NS if before_ms is None else min(before_ms * NS_PER_MS, TIME_MAX_NS)
    return f"time >= {max(since, TIME_MIN_NS)} AND time < {max(before, TIME_MIN_NS)}"
