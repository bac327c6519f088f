"""The audit log in InfluxDB, such as Amazon Timestream for InfluxDB.

    transitions,slot=3fa2 player="9c..",state="b1..",kept=1i,epoch=0i,pieces=1i,before="0",after="1",body="{...}" time
    deliveries,slot=3fa2  player="9c..",state="b1..",update="07..",place="eu:12:0",epoch=0i,pieces=1i,body="{...}" time
    erasures,shelf=9c     (see `influx_erasures`)

InfluxDB keeps an index of all series that there are, so the player is no tag: a million players would be a million
series. A player's points share a series with those of one in 65,536 players. They are found in two steps, of which the
first reads only the columns that it compares, some 40 bytes a point of the slot, and the second whole points by time.

What players have is taken away by writing the points anew without it: InfluxQL deletes by tag and time alone, and each
of its deletions holds up the compaction of files. From the files it is gone when these are next compacted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from playerstate.backends.aws.influx_erasures import Erasures
from playerstate.backends.aws.influx_http import InfluxServer, Row
from playerstate.backends.aws.influx_points import (
    DELIVERIES,
    TRANSITIONS,
    Entry,
    Place,
    Point,
    blank,
    entry_of,
    place_of,
    points,
    update_name,
)
from playerstate.backends.aws.influx_text import NS_PER_MS, TIME_MAX_NS, during, name, slot
from playerstate.core.model import Delivery, Identity, Key, Transition
from playerstate.errors import NotOffered
from playerstate.ports.audit import DELIVERIES_PER_UPDATE_MAX, Trimmed
from playerstate.ports.clock import Clock

MS_PER_DAY = 86_400_000
STATEMENTS_MAX = 50
"""How many points that lie apart are read at once."""
BLANKED_AT_ONCE_MAX = 2_000
RUN_GAP_NS = 600 * 1000 * NS_PER_MS
"""Points that follow each other within this are read as one range: at 2,550/s, a slot has 23 others in it."""

_NOT_OFFERED = "in InfluxDB the bucket's retention deletes what is old, by itself and by nothing but its age"


class InfluxAudit:
    """An `Audit`. `retention_days` is the bucket's, 0 if it keeps everything.

    All or none holds of input that cannot be read. A call that raises `NotNow` may have recorded some: readers may see
    them, and the call that repeats it changes nothing of them. What is late and of an erased epoch is written and then
    blanked: for that moment a reader may see it, or until the call is repeated if its process died in between. Of one
    update a few more deliveries than `DELIVERIES_PER_UPDATE_MAX` are kept if several consumers note them at once.
    """

    def __init__(self, server: InfluxServer, clock: Clock, *, retention_days: int = 365) -> None:
        self._server = server
        self._clock = clock
        self._retention_days = retention_days
        self._erasures = Erasures(server, clock)

    def append(self, transitions: Sequence[Transition]) -> None:
        """Record transitions."""
        self._record(points(transitions))

    def note(self, deliveries: Sequence[Delivery]) -> None:
        """Record deliveries that did nothing."""
        told: dict[Identity, dict[str, Delivery]] = {}
        for one in deliveries:
            update = Identity(one.producer, one.sequence, one.player_id, one.state_key)
            told.setdefault(update, {}).setdefault(place_of(one), one)
        kept = self._in_groups([_select_places(update) for update in told])
        new: list[Delivery] = []
        for places, rows in zip(told.values(), kept, strict=True):
            known = {row["place"] for row in rows}
            others = [one for place, one in places.items() if place not in known]
            new += others[: max(DELIVERIES_PER_UPDATE_MAX - len(known), 0)]
        self._record(points(new))

    def erase(self, epochs: Mapping[Key, int]) -> int:
        """Blank keys' transitions and deliveries of lower epochs, now and whenever they come."""
        raised = dict(epochs)
        marks = self._erasures.of(raised)
        new = {key: epoch for key, epoch in raised.items() if epoch and marks.get(key, (0, False)) < (epoch, True)}
        if not new:
            return 0
        self._erasures.mark(new, done=False)
        gone = 0
        for key, epoch in new.items():
            gone += self._blank(TRANSITIONS, key, epoch)
            self._blank(DELIVERIES, key, epoch)
        self._erasures.mark(new, done=True)
        return gone

    def history(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Transition]:
        """A player's transitions, or one key's: the latest first."""
        found: list[Any] = self._newest(TRANSITIONS, player_id, state_key, since, before, limit)
        return sorted(found, key=lambda one: (-one.written_at, -one.last, one.state_key))

    def deliveries(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """What came of a player's updates and did nothing: the latest first."""
        found: list[Any] = self._newest(DELIVERIES, player_id, state_key, since, before, limit)
        return sorted(found, key=lambda one: (-one.judged_at, -one.position, -one.index))

    def count(self) -> int:
        """How many transitions are kept. Reads one column of all there are: not for a log of billions."""
        (rows,) = self._server.query([f"SELECT sum(kept) AS kept FROM {TRANSITIONS}"])
        return int(rows[0]["kept"]) if rows else 0

    def trim(self, before: int, *, after: int = 0, limit: int) -> Trimmed:
        """Raise `NotOffered`."""
        raise NotOffered(_NOT_OFFERED)

    def trim_first(self, count: int) -> int:
        """Raise `NotOffered`."""
        raise NotOffered(_NOT_OFFERED)

    def bytes(self) -> int:
        """Raise `NotOffered`."""
        raise NotOffered("in InfluxDB nothing says how many bytes a bucket takes")

    def complete_since(self) -> int:
        """From which time on nothing was trimmed: as long ago as the retention says, though the log may be younger."""
        return self._clock.now_ms() - self._retention_days * MS_PER_DAY if self._retention_days else 0

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def _record(self, made: Sequence[Point]) -> None:
        """Write points, and blank those that have been erased.

        The marks are read after the write, and an erasure reads the points after writing its mark. So, whichever is
        first, one of the two sees what the other wrote.
        """
        if not made:
            return
        self._server.write([point.line for point in made])
        marks = self._erasures.of({_key(point.entry) for point in made})
        late = [p for p in made if (mark := marks.get(_key(p.entry))) is not None and p.entry.epoch < mark.epoch]
        self._server.write([blank(point.place) for point in late])

    def _blank(self, measurement: str, key: Key, epoch: int) -> int:
        """Take away what points of lower epochs say; how many those were."""
        until_ns, blanked = TIME_MAX_NS, 0
        while True:
            where = f"{_of(*key)} AND epoch < {epoch} AND {during(self._kept_since(None), None)} AND time < {until_ns}"
            newest = f"ORDER BY time DESC LIMIT {BLANKED_AT_ONCE_MAX}"
            (rows,) = self._server.query([f"SELECT epoch, pieces FROM {measurement} WHERE {where} {newest}"])
            places = [Place(measurement, slot(key.player_id), row["time"], row["pieces"] or 1) for row in rows]
            self._server.write([blank(place) for place in places])
            blanked += len(places)
            if len(places) < BLANKED_AT_ONCE_MAX:
                return blanked
            until_ns = places[-1].at_ns

    def _newest(
        self,
        measurement: str,
        player_id: str,
        state_key: str | None,
        since: int | None,
        before: int | None,
        limit: int,
    ) -> list[Entry]:
        """The latest of a time, at least so many, and all of the last one's millisecond.

        Points that are past the retention are not told of. A server has them until all of their week are past it, and
        does not let them be blanked.
        """
        limit = max(limit, 1)
        since = self._kept_since(since)
        found: list[Entry] = []
        while True:
            times = self._times(measurement, _of(player_id, state_key), since, before, limit)
            whole = f"SELECT * FROM {measurement} WHERE {_of(player_id, state_key)}"
            ranges = [f"{whole} AND time >= {first} AND time <= {last}" for first, last in _runs(times[::-1])]
            rows = [row for rows in self._in_groups(ranges) for row in rows]
            found += [entry for row in rows if (entry := entry_of(measurement, row)) is not None]
            if len(times) < limit or len(found) >= limit:
                return found
            before = times[-1] // NS_PER_MS  # some were being written or blanked: the page is not full yet

    def _kept_since(self, since: int | None) -> int | None:
        """The later of a time and of that since when points are kept."""
        if not self._retention_days:
            return since
        return self.complete_since() if since is None else max(self.complete_since(), since)

    def _times(self, measurement: str, where: str, since: int | None, before: int | None, limit: int) -> list[int]:
        """When the latest points are, the latest first: so many of them, and all of the last one's millisecond."""
        select = f"SELECT epoch FROM {measurement} WHERE {where}"
        (rows,) = self._server.query([f"{select} AND {during(since, before)} ORDER BY time DESC LIMIT {limit}"])
        times: list[int] = [row["time"] for row in rows]
        if len(times) >= limit:
            last, begin = times[-1], times[-1] // NS_PER_MS * NS_PER_MS
            (rows,) = self._server.query([f"{select} AND time >= {begin} AND time < {last} ORDER BY time DESC"])
            times += [row["time"] for row in rows]
        return times

    def _in_groups(self, statements: Sequence[str]) -> Iterator[list[Row]]:
        for begin in range(0, len(statements), STATEMENTS_MAX):
            yield from self._server.query(statements[begin : begin + STATEMENTS_MAX])


def _key(entry: Entry) -> Key:
    return Key(entry.player_id, entry.state_key)


def _of(player_id: str, state_key: str | None = None) -> str:
    """The condition that a point is a player's, or a key's."""
    where = f"slot = '{slot(player_id)}' AND player = '{name(player_id)}'"
    return where if state_key is None else f"{where} AND state = '{name(state_key)}'"


def _select_places(update: Identity) -> str:
    is_of_it = f"update = '{update_name(update.producer, update.sequence)}'"
    where = f"{_of(update.player_id, update.state_key)} AND {is_of_it}"
    return f"SELECT place FROM {DELIVERIES} WHERE {where} LIMIT {DELIVERIES_PER_UPDATE_MAX}"


def _runs(times: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Times in order, as ranges without large gaps in them."""
    begin = 0
    for i in range(1, len(times) + 1):
        if i == len(times) or times[i] - times[i - 1] > RUN_GAP_NS:
            yield times[begin], times[i - 1]
            begin = i
