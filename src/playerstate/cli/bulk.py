"""Sends the updates on lines of JSON, in batches. A bad line is reported and does not stop the others."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any

import msgspec

from playerstate.api import PlayerState
from playerstate.cli import console
from playerstate.cli.common import ExitCode
from playerstate.cli.lines import LINE_BYTES_MAX, Identities, Line, read_lines
from playerstate.cli.progress import Note, progress
from playerstate.cli.sending import exit_code_of_outcome, now_ms, outcome_text
from playerstate.core.answers import Accepted, Rejected
from playerstate.core.model import Update
from playerstate.core.producers import REMEMBERED_REFUSALS_MAX
from playerstate.core.wire import decode_json_update
from playerstate.errors import InvalidUpdate
from playerstate.replay.patience import Patience

BATCH_MAX = 500
BATCH_BYTES_MAX = 4 * 1024 * 1024
WAITING_BATCH_MAX = REMEMBERED_REFUSALS_MAX
"""A row remembers so many refusals of a producer: their outcomes are fetched before more are sent."""


def send_lines(node: PlayerState, path: Path, *, producer: str | None, wait_s: float | None, as_json: bool) -> ExitCode:
    """Send the updates of a file, or of standard input for `-`, and say what came of them; an empty input is no error.

    Raises `Unavailable`, `SlowDown` or `OutcomeUnknown` if trying again did not help, after saying how far it came.
    """
    name = producer or f"cli-{secrets.token_hex(6)}"
    sender = LineSender(node, Identities(name), wait_s=wait_s, as_json=as_json)
    try:
        with progress("sending", as_json=as_json) as (advance, note), _opened(path) as file:
            sender.note = note
            size = os.fstat(file.fileno()).st_size or None
            for lines in read_lines(file):
                sender.take(lines)
                advance(sender.bytes, size, sender.accepted)
    finally:
        _show_summary(sender, name, as_json=as_json)
    return sender.exit_code


class LineSender:
    """Sends lines and counts what comes of them.

    `outcomes` are counted where they are waited for; complaints go to `note`. Every update is sent with an identity,
    so that a batch whose fate is unknown can be sent again without harm.
    """

    def __init__(self, node: PlayerState, identities: Identities, *, wait_s: float | None, as_json: bool) -> None:
        self.lines = self.bytes = self.accepted = self.rejected = 0
        self.note: Note = console.note
        self.outcomes: Counter[str] = Counter()
        self.exit_code = ExitCode.DONE
        self._node = node
        self._identities = identities
        self._wait_s = wait_s
        self._as_json = as_json
        self._batch_max = BATCH_MAX if wait_s is None else WAITING_BATCH_MAX
        self._patience = Patience(self._pause)

    def take(self, lines: Iterable[Line]) -> None:
        """Send lines, all that are updates."""
        batch: dict[int, Update] = {}
        batch_bytes = 0
        for line in lines:
            self.lines += 1
            self.bytes += len(line.body or b"") + 1
            try:
                update = self._read(line)
            except InvalidUpdate as exc:
                self._send(batch)
                batch, batch_bytes = {}, 0
                self._reject(line.number, Rejected.of(exc))
                continue
            batch[line.number] = update
            batch_bytes += len(line.body or b"")
            if len(batch) >= self._batch_max or batch_bytes >= BATCH_BYTES_MAX:
                self._send(batch)
                batch, batch_bytes = {}, 0
        self._send(batch)

    def _read(self, line: Line) -> Update:
        if line.body is None:
            raise InvalidUpdate(f"The line has more than {LINE_BYTES_MAX} bytes", code="too_large")
        update = self._identities.complete(decode_json_update(line.body))
        return msgspec.structs.replace(update, sent_at=update.sent_at or now_ms())

    def _send(self, batch: dict[int, Update]) -> None:
        if not batch:
            return
        answers = self._patience(self._node.send_many, list(batch.values()))
        for number, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Rejected):
                self._reject(number, answer)
            else:
                self.accepted += 1
        if self._wait_s is not None:
            for number, answer in zip(batch, answers, strict=True):
                if isinstance(answer, Accepted):
                    self._fetch_outcome(number, answer, self._wait_s)

    def _fetch_outcome(self, number: int, answer: Accepted, wait_s: float) -> None:
        outcome = self._patience(self._node.outcome, answer.identity, wait_s=wait_s)
        self.outcomes[outcome_text(outcome)] += 1
        code = exit_code_of_outcome(outcome)
        if code is not ExitCode.DONE:
            self.exit_code = max(self.exit_code, code)
            self._tell(number, {"outcome": outcome}, outcome_text(outcome))

    def _reject(self, number: int, answer: Rejected) -> None:
        self.rejected += 1
        self.exit_code = max(self.exit_code, ExitCode.REFUSED)
        error = {"code": answer.code, "message": answer.message, "where": answer.where}
        self._tell(number, {"error": error}, f"{answer.code}: {answer.message}")

    def _tell(self, number: int, data: dict[str, Any], words: str) -> None:
        if self._as_json:
            console.error_document({"line": number, **data})
        else:
            self.note(f"line {number}: {words}")

    def _pause(self, seconds: float) -> None:
        if not self._as_json:
            self.note("the node does not answer; trying again")
        time.sleep(seconds)


def _opened(path: Path) -> BufferedReader:
    if str(path) == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    return path.open("rb")


def _show_summary(sender: LineSender, producer: str, *, as_json: bool) -> None:
    if as_json:
        summary = {
            "lines": sender.lines,
            "accepted": sender.accepted,
            "rejected": sender.rejected,
            "outcomes": dict(sender.outcomes),
            "producer": producer,
        }
        console.document(summary)
        return
    console.say(f"{sender.accepted:,} accepted, {sender.rejected:,} rejected, as producer {producer}")
    if sender.outcomes:
        console.counts("outcome", sender.outcomes)
