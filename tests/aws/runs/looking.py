"""What a run was seen to do: from the streams, stores and caches on the emulator into a history for the checkers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import reduce

from aws.polling.entries import Entry
from aws.polling.sources import DynamoDBSource, KinesisSource, Source
from aws.runs.region import AwsRegion
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.images import decode_change
from playerstate.core.images import Images
from playerstate.core.model import Key, Update
from playerstate.core.version_vector import join
from playerstate.core.wire import decode_record
from playerstate.simulation.history import Committed, Final, History, Read
from playerstate.simulation.traffic import PLAYERS
from playerstate.simulation.world import KEYS, READERS

EVERYTHING = 10**6


def read(history: History, region: AwsRegion, key: Key) -> None:
    """Note what a reader of a region's cache sees of a key."""
    view = region.cache.get(key)
    if view is not None:
        history.reads.append(Read(region.name, key, region.lost[key], view.version, view.decoded()))


def look(history: History, regions: Mapping[str, AwsRegion], clients: Clients) -> None:
    """Note what is there once all has come to rest, and what all has led to it."""
    images = Images(history.schema)
    for name, region in regions.items():
        history.findings += region.findings.list(limit=EVERYTHING)
        history.streamed[name] = list(_streamed(KinesisSource(clients, region.stream)))
        history.committed += _committed(name, DynamoDBSource(clients, region.table))
        history.audits[name] = [told for player in PLAYERS for told in region.audit.history(player, limit=EVERYTHING)]
        history.recorded += [
            Committed(name, Key(told.player_id, told.state_key), cause, told.epoch)
            for told in history.audits[name]
            for cause in told.causes
        ]
        finals = history.finals[name] = {}
        for key, rows in region.store.load(KEYS).items():
            view = images.view(key, [images.read(key.state_key, body) for body in rows.values()])
            cached = region.cache.get(key)
            edges = region.graph.edges(key)[1] if history.schema.keys[key.state_key].edge else None
            versions = {owner: images.read(key.state_key, body).version for owner, body in rows.items()}
            finals[key] = Final(rows, view.decoded(), cached.decoded() if cached else None, edges, versions)


def _streamed(source: KinesisSource) -> Iterator[Update]:
    """All updates that came on a stream, shard by shard."""
    for entry in _all(source):
        _, updates, _ = decode_record(base64.b64decode(entry.content["data"]))
        yield from (update for update in updates if isinstance(update, Update))


def _committed(region: str, source: DynamoDBSource) -> Iterator[Committed]:
    """What a region has committed, and what its table had of each key just before."""
    visible: dict[Key, dict[str, dict[str, int]]] = {key: {} for key in KEYS}
    for entry in _all(source):
        change = decode_change(entry.content["dynamodb"])
        vectors, row = visible[change.key], READERS[change.key.state_key].decode(change.new)
        if change.region == region:
            knew: dict[str, int] = reduce(join, vectors.values(), {})
            yield from (Committed(region, change.key, cause, row.epoch, knew) for cause in row.because)
        vectors[change.region] = row.vector


def _all(source: Source) -> Iterator[Entry]:
    while entries := source.read():
        yield from entries
