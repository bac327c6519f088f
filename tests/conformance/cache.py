"""What every cache guarantees: the whole suite."""

from __future__ import annotations

from conformance.cache_fills import CacheFillsSuite
from conformance.cache_looks import CacheLooksSuite
from conformance.cache_watch import CacheWatchSuite
from conformance.cache_writes import CacheWritesSuite


class CacheSuite(CacheWritesSuite, CacheFillsSuite, CacheLooksSuite, CacheWatchSuite):
    """Writing and reading, filling, being looked at, watching."""
