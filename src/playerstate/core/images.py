"""Stored rows, read once: what a row's bytes say, its version, and its value as JSON.

The same bytes are met several times on the way through: as a change's new image, as the stored row, and as the old
image of the next change. Reading and showing them is most of the work, so the latest ones are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from playerstate.core.model import Key, Notice, View
from playerstate.core.row import Row, join_rows
from playerstate.core.schema import Schema
from playerstate.core.types import DATA_TYPES
from playerstate.core.version_vector import covers, format_vector, parse_vector, total
from playerstate.core.views import value_json
from playerstate.core.wire import row_readers
from playerstate.errors import InvariantViolated

KEPT_MAX = 20_000
KEPT_BYTES_MAX = 64 * 1024 * 1024


class Image(msgspec.Struct, frozen=True, gc=False):
    """A row, its version and its value as JSON."""

    row: Row[Any]
    version: str
    value: bytes


class Images:
    """Reads the rows of one schema; keeps up to `kept_max` of the latest."""

    def __init__(self, schema: Schema, *, kept_max: int = KEPT_MAX) -> None:
        self._schema = schema
        self._readers = row_readers(schema)
        self._unwritten = {
            state_key: value_json(DATA_TYPES[spec.type].empty(), spec) for state_key, spec in schema.keys.items()
        }
        self._kept: dict[tuple[str, bytes], Image] = {}
        self._kept_max = kept_max
        self._kept_bytes = 0

    def read(self, state_key: str, body: bytes) -> Image:
        """What a row's bytes say. Raises as `RowReader.decode` does."""
        image = self._kept.get((state_key, body))
        if image is None:
            row = self._readers[state_key].decode(body)
            spec = self._schema.keys[state_key]
            image = Image(row, format_vector(row.vector), value_json(row.state, spec))
            self._kept[state_key, body] = image
            self._kept_bytes += len(body) + len(image.value)
            if len(self._kept) > self._kept_max or self._kept_bytes > KEPT_BYTES_MAX:
                self._drop_older_half()
        return image

    def _drop_older_half(self) -> None:
        kept = list(self._kept.items())  # in the order in which they were first read
        self._kept = dict(kept[len(kept) // 2 + 1 :])
        self._kept_bytes = sum([len(body) + len(image.value) for (_, body), image in self._kept.items()])

    def view(self, key: Key, images: Iterable[Image]) -> View:
        """The view of a key by its visible rows: of the row that covers the others, or of their join."""
        rows = list(images)
        if len(rows) == 1:
            return View(key.player_id, key.state_key, rows[0].version, msgspec.Raw(rows[0].value))
        for image in rows:
            if all(covers(image.row.vector, other.row.vector) for other in rows if other is not image):
                return View(key.player_id, key.state_key, image.version, msgspec.Raw(image.value))
        spec = self._schema.keys[key.state_key]
        joined = join_rows((image.row for image in rows), DATA_TYPES[spec.type])
        value = value_json(joined.state, spec)
        return View(key.player_id, key.state_key, format_vector(joined.vector), msgspec.Raw(value))

    def notice_of_view(self, view: View, region: str) -> Notice:
        """What is told where nothing has been written, but somebody has to be brought up to a view."""
        version = parse_vector(view.version)
        return Notice(view.player_id, view.state_key, region, view.version, total(version), 0, view.value)

    def notice(
        self, key: Key, region: str, old: bytes | None, image: Image, *, own: bool, others: Sequence[Image] = ()
    ) -> Notice:
        """What is told of a write: the views around it, and its causes where the write is this region's own.

        `others` are the rows of other regions that are visible; those that contain this write are left out, for they
        would show it before it was made. A row that has only taken others in has made no write, so then none is: else
        nobody would ever be told of all of them together. Replication may combine writes, so only the region that wrote
        a row knows why it changed. What was erased is not told again: the view before it is null, as is one that cannot
        be read any more, because somebody damaged the row.
        """
        player_id, state_key = key
        row = image.row
        try:
            before_image = self.read(state_key, old) if old is not None else None
            damaged = False
        except InvariantViolated:  # it has been replaced by this write: nobody need stop for it any more
            before_image, damaged = None, True
        n_before = before_image.row.vector.get(region, 0) if before_image is not None else 0
        has_written = row.vector.get(region, 0) > n_before
        beside = [other for other in others if not has_written or not covers(other.row.vector, row.vector)]
        if damaged or (before_image is not None and before_image.row.epoch < row.epoch):
            before = msgspec.Raw(b"null")
        elif before_image is not None or beside:
            before = self.view(key, [*beside, before_image] if before_image is not None else beside).value
        else:
            before = msgspec.Raw(self._unwritten[state_key])
        after = self.view(key, [*beside, image])
        return Notice(
            player_id,
            state_key,
            region,
            image.version,
            total(parse_vector(after.version)) if beside else total(row.vector),
            row.written_at,
            after.value,
            before,
            before_image.version if before_image is not None else "",
            row.because if own else [],
            row.sides if own else [],
            row.epoch,
        )
