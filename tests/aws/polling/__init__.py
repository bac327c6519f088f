"""Event source mappings as AWS Lambda has them: what polls streams and queues, and calls a function with batches.

The emulator has mappings of its own, which ignore partial failures, retry limits and destinations, so handlers are
driven by these. The rules are pure (`batching`, `retrying`, `responses`, `shards`, `destinations`), each cited by its
name in AWS's documentation. `stream_poller` and `queue_poller` are moved by hand, a step at a time, and read from the
emulator.

What AWS does and these do not: pauses between tries, several pollers of one queue at once, tumbling windows, filters,
enhanced fan-out. Where the documentation leaves something open, the rule says so, and which reading it takes.
"""
