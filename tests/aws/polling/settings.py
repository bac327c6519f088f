"""What can be set of a mapping, by the names that AWS gives it, with units last. Pure."""

from __future__ import annotations

from typing import NamedTuple

PAYLOAD_BYTES_MAX = 6 * 1024 * 1024
"""Of an event ("Invocation payload (request and response)", 6 MB each way for synchronous calls)."""


class MappingSettings(NamedTuple):
    """Of a stream or a queue; -1 is without limit. Streams begin at `TRIM_HORIZON`.

    Of a queue only the first three and `reports_item_failures` mean anything.
    """

    batch_size_max: int = 100
    batching_window_ms: int = 0
    payload_bytes_max: int = PAYLOAD_BYTES_MAX
    reports_item_failures: bool = True
    parallelization_factor: int = 1
    bisects_on_function_error: bool = False
    retry_attempts_max: int = -1
    record_age_ms_max: int = -1
