"""The durable parts of a node on one machine: stream, store with changes, queues, dead letters, audit.

One SQLite file a part, so that each has one writer and they never wait for each other's disk.
"""
