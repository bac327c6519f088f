"""Project: the store's changes -> the hot cache and the consumer groups' queues.

    changes -> [read all rows of each key, join the change in] -> cache
                     |
                     +-> a queue per consumer group
                     +-> the resolver's queue, after a while: keys whose rows give this region something to do

The rows are read again, because a change is only one region's news and may be old by now; the join of what is visible
is what readers should see. Everything here may be done twice: the cache takes only what is newer, and consumers know
what they have seen by its version.

Another region may have a newer schema already. Rows of keys that this region's does not have are left alone, and told
of, so that they can be shown when it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import structlog
from msgspec.structs import replace

from playerstate.core.findings import CACHE, Finding, Kind, Repair, finding_id, printable
from playerstate.core.groups import Wants, key_classes, names_wanted
from playerstate.core.images import Image, Images
from playerstate.core.model import Key, Notice, View
from playerstate.core.resolution import calls_for
from playerstate.core.schema import Schema
from playerstate.core.version_vector import covers
from playerstate.core.wire import encode_call, encode_notice, join_notices
from playerstate.errors import PlayerStateError
from playerstate.ports.cache import Cache, Put
from playerstate.ports.clock import Clock
from playerstate.ports.findings import Findings
from playerstate.ports.queue import Queue, Sender
from playerstate.ports.store import Change, Store

NOTICES_PER_MESSAGE_MAX = 100
MESSAGE_BYTES_MAX = 200_000
"""Of several notices: with room for attributes and for a transport's own framing within SNS's 256 KB."""
RESOLVE_AFTER_S = 0.5
"""How long a conflict is left alone: most are gone by then, because the region that was behind has caught up."""

_Visible: TypeAlias = Mapping[Key, Mapping[str, Image]]
"""Rows of keys, by the region that writes them."""

log = structlog.get_logger(__name__)


class Group(NamedTuple):
    """A consumer group: its queue, and which notices it is sent, or of which state keys.

    Or several groups behind a topic, which all hear of the same keys; see `fan_out`.
    """

    queue: Sender
    wants: Wants | Collection[str]


def fan_out(schema: Schema, topic_of: Callable[[Mapping[str, str]], Sender]) -> list[Group]:
    """The groups of a topic that all consumer groups subscribe to: one for each class of keys, so that each notice is
    published once. `topic_of` gives what publishes with some attributes, by which subscriptions choose.
    """
    return [Group(topic_of(found.attributes), names) for found, names in key_classes(schema).items()]


class Projected(NamedTuple):
    """What a batch came to: views written, and for each update its age (ms) when readers could see it.

    `left_alone` names the keys of which there were changes, and which the schema does not have.
    """

    views_written: int
    freshness_ms: list[int]
    left_alone: Collection[str] = ()
    notices: int = 0


class Project:
    """The stage, in one region. One that is `alone` need not look for other regions' rows.

    `resolve` is the queue of the resolver, where there is one; `retired` tells which regions are gone, and their heirs;
    `predecessors` are the names that the region had before; what is found wrong on the way is recorded in `findings`,
    and counted as an inquiry counts: `found` by `place:kind`, `repaired` by what became of it.
    """

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
        resolve: Queue | None = None,
        retired: Callable[[], Mapping[str, str]] = dict,
        predecessors: Collection[str] = (),
        findings: Findings | None = None,
    ) -> None:
        self.found: Counter[str] = Counter()
        self.repaired: Counter[str] = Counter()
        self._findings = findings
        self._schema = schema
        self._region = region
        self._own = {region, *predecessors}
        self._store = store
        self._cache = cache
        self._told = [(queue, names_wanted(schema, wants)) for queue, wants in groups]
        self._clock = clock
        self._alone = alone
        self._resolve = resolve
        self._retired = retired
        self._images = Images(schema)

    @property
    def region(self) -> str:
        """The region that it projects for."""
        return self._region

    @property
    def state_keys(self) -> Collection[str]:
        """The keys of the schema."""
        return self._schema.keys

    def handle(self, changes: Sequence[Change]) -> Projected:
        """Bring cache and queues up to a batch of changes, whole. Raises `NotNow` if it could not be finished."""
        unknown = {change.key.state_key for change in changes} - self._schema.keys.keys()
        if unknown:
            changes = [change for change in changes if change.key.state_key not in unknown]
        read = self._images.read
        images = [read(change.key.state_key, change.new) for change in changes]
        news: dict[Key, dict[str, Image]] = {}
        for change, image in zip(changes, images, strict=True):
            news.setdefault(change.key, {})[change.region] = image
        visible = self._visible(news)
        views_written = self._cache_views(visible)
        self._call_resolver(visible)
        visible_at = self._clock.now_ms()
        notices = [self._notice(change, image, visible) for change, image in zip(changes, images, strict=True)]
        for queue, keys in self._told:
            messages = _packed([notice for notice in notices if notice.state_key in keys])
            if messages:
                queue.send(messages)
        ages = [visible_at - cause.accepted_at for notice in notices for cause in notice.because]
        return Projected(views_written, ages, unknown, len(notices))

    def handle_stored(self, names: Collection[str], after: Key | None, limit: int) -> Key | None:
        """Bring cache and queues up to the stored rows of some state keys, as if all had just been written.

        Looks at the next `limit` keys of the store beyond `after`; returns the last of them, None at the end. Raises
        `NotNow` as `handle` does.
        """
        page = self._store.keys(after, limit)
        wanted = [key for key in page if key.state_key in names]
        rows = self._store.load(wanted) if wanted else {}
        self.handle([Change(0, key, region, None, body) for key in rows for region, body in rows[key].items()])
        return page[-1] if page else None

    def _notice(self, change: Change, image: Image, visible: _Visible) -> Notice:
        beside = visible[change.key]
        others = [other for region, other in beside.items() if region != change.region] if len(beside) > 1 else ()
        own = change.region in self._own
        return self._images.notice(change.key, change.region, change.old, image, own=own, others=others)

    def _call_resolver(self, visible: _Visible) -> None:
        """Hand over the keys whose rows give this region something to do. It looks again before it does anything."""
        if self._resolve is None:
            return
        retired = self._retired()
        keys = []
        for key, images in visible.items():
            rows = {region: image.row for region, image in images.items()}
            if calls_for(rows, self._region, self._schema.keys[key.state_key], retired):
                keys.append(key)
        if keys:
            self._resolve.send([encode_call(key) for key in keys], delay_s=RESOLVE_AFTER_S)

    def _cache_views(self, visible: _Visible) -> int:
        """Write the keys' views. Where the cache holds something concurrent, read once more, and then have it so."""
        answers = self._cache.put(views := self._views(visible))
        contested = {v.key for v, answer in zip(views, answers, strict=True) if answer is Put.CONCURRENT}
        if contested:
            again = self._views(self._visible({key: visible[key] for key in contested}))
            second = self._cache.put(again)
            wrong = [v for v, answer in zip(again, second, strict=True) if answer is Put.CONCURRENT]
            if wrong:
                self._replace(wrong)
            answers = [*answers, *second]
        return sum(answer is Put.WRITTEN for answer in answers)

    def _replace(self, wrong: Sequence[View]) -> None:
        """Have the cache show what the rows say, where it holds what no row explains; a finding, already put right."""
        held = self._cache.versions([view.key for view in wrong])
        now = self._clock.now_ms()
        found = [
            Finding(
                finding_id(now, CACHE, view.key),
                self._region,
                CACHE,
                Kind.AHEAD,
                *view.key,
                expected=view.version,
                found=printable(version or ""),
                first_seen_at=now,
                found_at=now,
                detail="met on the way",
            )
            for view, version in zip(wrong, held, strict=True)
        ]
        for finding in found:
            log.error("the cache held a view that no row explains", state_key=finding.state_key, version=finding.found)
            self.found[f"{CACHE}:{finding.kind}"] += 1
        self._record(found)
        self._cache.replace(wrong)
        self.repaired[Repair.REPAIRED] += len(found)
        now = self._clock.now_ms()
        self._record([replace(finding, repair=Repair.REPAIRED, repaired_at=now) for finding in found])

    def _record(self, found: Sequence[Finding]) -> None:
        """Record findings. That they cannot be holds nothing up: readers wait for what is projected."""
        if self._findings is None:
            return
        try:
            self._findings.put(found)
        except PlayerStateError as exc:
            log.warning("findings cannot be recorded", lost=len(found), error=str(exc))

    def _views(self, visible: _Visible) -> list[View]:
        return [self._images.view(key, images.values()) for key, images in visible.items()]

    def _visible(self, news: _Visible) -> _Visible:
        """All regions' rows of the keys, the latest of what is stored and what is news."""
        if self._alone:
            return news
        visible: dict[Key, dict[str, Image]] = {}
        for key, rows in self._store.load(list(news)).items():
            images = visible[key] = {region: self._images.read(key.state_key, body) for region, body in rows.items()}
            for region, image in news[key].items():
                if region not in images or covers(image.row.vector, images[region].row.vector):
                    images[region] = image
        return visible


def _packed(notices: list[Notice]) -> list[bytes]:
    """Notices in messages, as many in each as fit; one that is larger than that has a message of its own."""
    messages: list[bytes] = []
    batch: list[bytes] = []
    size = len(b"[]")
    for notice in notices:
        encoded = encode_notice(notice)
        if batch and (size + len(encoded) > MESSAGE_BYTES_MAX or len(batch) == NOTICES_PER_MESSAGE_MAX):
            messages.append(join_notices(batch))
            batch, size = [], len(b"[]")
        batch.append(encoded)
        size += len(encoded) + len(b",")
    if batch:
        messages.append(join_notices(batch))
    return messages
