"""Game servers at work: each sends until it is told to stop, and until nothing that it sent is left in doubt."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import msgspec

from playerstate.client import RemoteNode
from playerstate.core.answers import Rejected
from playerstate.core.model import Update
from playerstate.errors import NotNow, OutcomeUnknown, PlayerStateError
from playerstate.runtime import protocol
from playerstate.runtime.socket_server import ADDRESS_FILE, Address

PAUSE_S_MAX = 0.16
AGAIN_S = 0.05
HANG_UP_SHARE = 0.4


class Client(threading.Thread):
    """One game server of a region. It repeats a call, word for word, until that is acknowledged; only then goes on.

    `acknowledged` has the updates in that order. `unknown` and `refused` count the updates of calls of which it was not
    known whether they were taken, and of those that were not; `trouble` says what should never happen.
    """

    def __init__(self, region: str, folder: Path, calls: Callable[[], Sequence[Update]], random: Random) -> None:
        super().__init__(name=f"playerstate-client-{region}", daemon=True)
        self.region = region
        self.acknowledged: list[Update] = []
        self.unknown = 0
        self.refused = 0
        self.trouble: list[str] = []
        self.hangs_up = False
        self.pending: Sequence[Update] = []
        self._folder = folder
        self._calls = calls
        self._random = random
        self._stop_sending = threading.Event()
        self._abandoned = threading.Event()

    def stop(self) -> None:
        """Send nothing new; what is in doubt is repeated until it is known."""
        self._stop_sending.set()

    def abandon(self) -> None:
        """Repeat nothing either."""
        self._stop_sending.set()
        self._abandoned.set()

    def run(self) -> None:
        """Send call after call."""
        node = RemoteNode(self._folder)
        while not self._stop_sending.is_set():
            self.pending = self._calls()
            while not self._try(node) and not self._abandoned.wait(AGAIN_S):
                pass
            self._stop_sending.wait(self._random.uniform(0, PAUSE_S_MAX))
        node.close()

    def _try(self, node: RemoteNode) -> bool:
        """Make the call; whether its fate is known."""
        try:
            if self.hangs_up and self._random.random() < HANG_UP_SHARE:
                hang_up(self._folder, self.pending, whole=self._random.random() < 0.7)
                self.unknown += len(self.pending)
                return False
            answers = node.send_many(self.pending)
        except (NotNow, OSError):
            self.refused += len(self.pending)
            return False
        except OutcomeUnknown:
            self.unknown += len(self.pending)
            return False
        except PlayerStateError as exc:
            self.trouble.append(f"a call to {self.region} ended in {type(exc).__name__}: {exc}")
            return False
        for update, answer in zip(self.pending, answers, strict=True):
            if isinstance(answer, Rejected):
                self.trouble.append(f"{self.region} rejected {update}: {answer.message}")
            else:
                self.acknowledged.append(update)
        self.pending = []
        return True


def hang_up(folder: Path, updates: Sequence[Update], *, whole: bool) -> None:
    """Call `send_many`, and be gone before the answer comes; not `whole`, before the call is out.

    Raises `OSError` if nobody answers, and nothing was sent.
    """
    try:
        address = msgspec.json.decode((folder / ADDRESS_FILE).read_bytes(), type=Address)
    except msgspec.DecodeError as exc:
        raise OSError(f"nobody listens on {folder}") from exc
    body = msgspec.msgpack.encode(protocol.SendMany([protocol.text_of(update) for update in updates]))
    frame = len(body).to_bytes(4, "big") + body
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(address.socket)
        connection.sendall(frame if whole else frame[: len(frame) // 2])
