"""A worker in a process of its own, to be killed: it prints a line for each batch that it has handled.

Arguments: the emulator's URL, the stream, the control table, the worker's name, how long a lease lasts (s).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.leases import DynamoDBLeases
from playerstate.backends.aws.shards import kinesis_shards
from playerstate.ports.stream import StreamRecord
from playerstate.runtime.shard_worker import ShardWorker


def main(url: str, stream: str, table: str, worker: str, lease_s: str) -> None:
    clients = Clients("us-east-1", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test")

    def handle(records: Sequence[StreamRecord]) -> None:
        line = ",".join(record.body.decode() for record in records)
        os.write(1, f"{line}\n".encode())  # at once: several shards' threads write, and lines must not run together

    leases = DynamoDBLeases(clients, table, "apply")
    shards = kinesis_shards(clients, stream)
    ShardWorker("apply", shards, leases, handle, worker=worker, lease_s=float(lease_s), batch_max=3, idle_s=0.01).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
