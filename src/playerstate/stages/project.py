"""Project: the store's changes -> the hot cache and the consumer groups' queues.

    changes -> [read all rows of each key, join the change in] -> cache
                     |
                     +-> a queue per consumer group

The rows are read again, because a change is only one region's news and may be old by now; the join of what is visible
is what readers should see. Everything here may be done twice: the cache takes only what is newer, and consumers know
what they have seen by its version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog

from playerstate.core.groups import Wants
from playerstate.core.images import Images
from playerstate.core.model import Key, Notice, View
from playerstate.core.schema import Schema
from playerstate.core.version_vector import covers
from playerstate.core.wire import encode_notices
from playerstate.ports.cache import Cache, Put
from playerstate.ports.clock import Clock
from playerstate.ports.queue import Queue
from playerstate.ports.store import Change, Store

NOTICES_PER_MESSAGE_MAX = 100
MESSAGE_BYTES_MAX = 200_000

_NOTHING: dict[str, bytes] = {}

log = structlog.get_logger(__name__)


class Group(NamedTuple):
    """A consumer group: its queue, and which notices it is sent."""

    queue: Queue
    wants: Wants


class Projected(NamedTuple):
    """What a batch came to: views written, and for each update its age (ms) when readers could see it."""

    views_written: int
    freshness_ms: list[int]


class Project:
    """The stage, in one region. One that is `alone` need not look for other regions' rows."""

    def __init__(
        self,
        schema: Schema,
        region: str,
        store: Store,
        cache: Cache,
        groups: Sequence[Group],
        clock: Clock,
        *,
        alone: bool = False,
    ) -> None:
        self._schema = schema
        self._region = region
        self._store = store
        self._cache = cache
        self._groups = groups
        self._clock = clock
        self._alone = alone
        self._images = Images(schema)

    def handle(self, changes: Sequence[Change]) -> Projected:
        """Bring cache and queues up to a batch of changes, whole. Raises `NotNow` if it could not be finished."""
        news: dict[Key, dict[str, bytes]] = {}
        for change in changes:
            news.setdefault(change.key, {})[change.region] = change.new
        views_written = self._cache_views(news)
        visible_at = self._clock.now_ms()
        notices = [self._images.notice(c.key, c.region, c.old, c.new, own=c.region == self._region) for c in changes]
        for queue, wants in self._groups:
            wanted = (notice for notice in notices if wants.includes(self._schema.keys[notice.state_key]))
            messages = list(_packed(wanted))
            if messages:
                queue.send(messages)
        ages = [visible_at - cause.accepted_at for notice in notices for cause in notice.because]
        return Projected(views_written, ages)

    def _cache_views(self, news: Mapping[Key, Mapping[str, bytes]]) -> int:
        """Write the keys' views. Where the cache holds something concurrent, read once more, and then have it so."""
        answers = self._cache.put(views := self._views(news))
        contested = {v.key for v, answer in zip(views, answers, strict=True) if answer is Put.CONCURRENT}
        if contested:
            again = self._views({key: news[key] for key in contested})
            second = self._cache.put(again)
            wrong = [v for v, answer in zip(again, second, strict=True) if answer is Put.CONCURRENT]
            for view in wrong:
                log.error("the cache held a view that no row explains", key=view.state_key, version=view.version)
            if wrong:
                self._cache.replace(wrong)
            answers = [*answers, *second]
        return sum(answer is Put.WRITTEN for answer in answers)

    def _views(self, news: Mapping[Key, Mapping[str, bytes]]) -> list[View]:
        stored = dict.fromkeys(news, _NOTHING) if self._alone else self._store.load(list(news))
        views = []
        for key, changed in news.items():
            visible = {region: self._images.read(key.state_key, body) for region, body in stored[key].items()}
            for region, body in changed.items():
                image = self._images.read(key.state_key, body)
                if region not in visible or covers(image.row.vector, visible[region].row.vector):
                    visible[region] = image
            views.append(self._images.view(key, visible.values()))
        return views


def _packed(notices: Iterable[Notice]) -> Iterator[bytes]:
    """Notices in messages, as many in each as fit."""
    batch: list[Notice] = []
    size = 0
    for notice in notices:
        more = len(notice.before) + len(notice.after) + 200 * len(notice.because)
        if batch and (size + more > MESSAGE_BYTES_MAX or len(batch) >= NOTICES_PER_MESSAGE_MAX):
            yield encode_notices(batch)
            batch, size = [], 0
        batch.append(notice)
        size += more
    if batch:
        yield encode_notices(batch)
