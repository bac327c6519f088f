"""The process that follows the store's changes for a node: project and audit, beside the process that accepts.

It is started with a pipe on standard input and one on standard output. A byte on the first says that there are
changes; its end says that the node is gone, also when it was killed: then the follower finishes its step and exits.
On the second it reports, a line of JSON at a time.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import msgspec

from playerstate.core.answers import StageStats
from playerstate.core.schema import Schema, load_schema
from playerstate.folder import SCHEMA_FILE
from playerstate.runtime.logs import log_to_stderr
from playerstate.runtime.loop import Loop
from playerstate.wiring import FolderParts, follower_consumers

REPORT_EVERY_S = 0.2


class Report(msgspec.Struct):
    """What a follower tells its node: figures since it started, and whether all its loops still run."""

    stages: dict[str, StageStats]
    freshness_ms: dict[str, int]
    alive: bool


class Followers:
    """The loops of project and audit, in whatever process."""

    def __init__(self, schema: Schema, region: str, parts: FolderParts) -> None:
        self._project, others = follower_consumers(schema, region, parts)
        self._queue_loops = [Loop(consumer) for consumer in others]
        self._project_loop = Loop(self._project, on_progress=self._wake_queue_loops)

    def start(self) -> None:
        """Begin."""
        for loop in self._loops():
            loop.start()

    def wake(self) -> None:
        """There are changes."""
        self._project_loop.wake()

    def report(self) -> Report:
        """What they have done."""
        stages: dict[str, StageStats] = {loop.consumer.name: loop.consumer.stats for loop in self._loops()}
        return Report(stages, self._project.freshness.buckets(), all(loop.alive for loop in self._loops()))

    def stop(self) -> None:
        """Finish the steps that are under way."""
        for loop in self._loops():
            loop.stop()

    def _loops(self) -> list[Loop]:
        return [self._project_loop, *self._queue_loops]

    def _wake_queue_loops(self) -> None:
        for loop in self._queue_loops:
            loop.wake()


def main(folder: str, region: str, cache_url: str) -> None:
    """Run until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the node decides when this process ends
    reports = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed must not get among the reports
    log_to_stderr()
    path = Path(folder)
    parts = FolderParts.open(path, cache_url)
    schema = load_schema((path / SCHEMA_FILE).read_bytes())
    followers = Followers(schema, region, parts)
    followers.start()
    ended = threading.Event()
    reporter = threading.Thread(target=_report_until, args=(ended, followers, reports), daemon=True)
    reporter.start()
    while os.read(sys.stdin.fileno(), 4096):
        followers.wake()
    followers.stop()
    ended.set()
    reporter.join()
    parts.close()


def _report_until(ended: threading.Event, followers: Followers, pipe: int) -> None:
    while not ended.wait(REPORT_EVERY_S):
        try:
            os.write(pipe, msgspec.json.encode(followers.report()) + b"\n")
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
