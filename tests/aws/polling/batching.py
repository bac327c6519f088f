"""When a batch is full, or has waited long enough. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from aws.polling.settings import MappingSettings

ENVELOPE_BYTES = len('{"Records":[]}')


def due(sizes_bytes: Sequence[int], waited_ms: int, settings: MappingSettings) -> int:
    """How many of the records that wait have to be sent now; 0 if more may come.

    "Batching behavior": a function is called when the batch is full (`BatchSize`), when the payload would grow beyond
    its limit, or when `MaximumBatchingWindowInSeconds` has passed since the first of them was read. A record larger
    than the limit goes alone.
    """
    fits = _fitting(sizes_bytes[: settings.batch_size_max], settings.payload_bytes_max)
    full = fits == settings.batch_size_max or fits < len(sizes_bytes)
    return fits if full or waited_ms >= settings.batching_window_ms else 0


def _fitting(sizes_bytes: Sequence[int], bytes_max: int) -> int:
    total = ENVELOPE_BYTES
    for count, size in enumerate(sizes_bytes):
        total += size
        if total > bytes_max and count:
            return count
    return len(sizes_bytes)


def lane_of(key_hash: int, parallelization_factor: int) -> int:
    """Which of a shard's concurrent batches a record belongs to.

    "Polling and batching streams", `ParallelizationFactor`: several batches of a shard are under way at once, and
    records of one partition key (of one item, in a DynamoDB stream) stay in order; so all of a key go the same way.
    """
    return key_hash % parallelization_factor
