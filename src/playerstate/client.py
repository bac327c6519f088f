"""A running node, reached over the socket in its data folder."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from playerstate.api import AnyUpdate, PlayerState
from playerstate.core.amendment import Amendment
from playerstate.core.answers import Accepted, Alarm, Answer, Compared, Rejected, SettingsTold, Stats
from playerstate.core.export import Export
from playerstate.core.findings import Finding
from playerstate.core.history import HistoryPage
from playerstate.core.letters import EVERY, GoneLetter, LetterFilter
from playerstate.core.model import DeadLetter, Identity, Json, Outcome, View
from playerstate.core.schema import Schema
from playerstate.errors import InvalidUpdate, OutcomeUnknown, Unavailable
from playerstate.runtime import protocol
from playerstate.runtime.amending import WAIT_MAX_S
from playerstate.runtime.protocol import Problem, Reply, Request
from playerstate.runtime.socket_server import ADDRESS_FILE, Address

CALL_TIMEOUT_S = 30.0

T = TypeVar("T")
_decode_reply = msgspec.msgpack.Decoder(Reply).decode


def find_node(folder: Path) -> RemoteNode | None:
    """The node that runs on a folder, if one does."""
    node = RemoteNode(folder)
    try:
        node.connect()
    except Unavailable:
        return None
    return node


class RemoteNode(PlayerState):
    """A `PlayerState` in another process. Connections are kept and used again, one a call.

    When the node is started again, the next call finds it where the folder says that it is then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._schema: Schema | None = None

    def connect(self) -> None:
        """Make sure that somebody listens. Raises `Unavailable`."""
        connection = self._open()
        with self._lock:
            self._idle.append(connection)

    @property
    def schema(self) -> Schema:
        """The game's schema."""
        if self._schema is None:
            self._schema = self._call(protocol.GetSchema(), Schema)
        return self._schema

    def send(self, update: AnyUpdate) -> Answer:
        """Send one update."""
        return self.send_many([update])[0]

    def send_many(self, updates: Sequence[AnyUpdate]) -> list[Answer]:
        """Send updates in order; one that is none at all is rejected here already."""
        if not updates:
            raise InvalidUpdate("A batch has at least one update", code="empty")
        answers: dict[int, Answer] = {}
        texts: dict[int, bytes] = {}
        for index, update in enumerate(updates):
            try:
                texts[index] = protocol.text_of(update)
            except InvalidUpdate as exc:
                answers[index] = Rejected.of(exc)
        if texts:
            sent = self._call(protocol.SendMany(list(texts.values())), list[Answer], changes=True)
            answers.update(zip(texts, sent, strict=True))
        return [answers[index] for index in range(len(updates))]

    def outcome(self, identity: Identity, *, wait_s: float = 0.0) -> Outcome | None:
        """What became of an update."""
        return self._call(protocol.OutcomeOf(identity, wait_s), Outcome | None, wait_s=wait_s)

    def get(self, player_id: str, state_key: str) -> View:
        """The view of a key."""
        return self._call(protocol.Get(player_id, state_key), View)

    def get_player(self, player_id: str) -> dict[str, View]:
        """All views of a player that were ever written."""
        return self._call(protocol.GetPlayer(player_id), dict[str, View])

    def watch(self, player_id: str, *, timeout_s: float = 1.0) -> Iterator[View | None]:
        """Views of a player as they change. Ends with `Unavailable` when the node goes."""
        connection = self._open()
        try:
            connection.settimeout(timeout_s + CALL_TIMEOUT_S)
            protocol.send_frame(connection, protocol.Watch(player_id, timeout_s))
            _result(protocol.receive_frame(connection), None)  # from here on the node listens
        except OSError as exc:
            connection.close()
            raise Unavailable(f"the node went away: {exc}") from exc
        except BaseException:
            connection.close()
            raise
        return _watched(connection)

    def history(
        self,
        player_id: str,
        state_key: str | None = None,
        *,
        since: int | None = None,
        before: int | None = None,
        outcome: str | None = None,
        producer: str | None = None,
        limit: int = 100,
        everywhere: bool = True,
    ) -> HistoryPage:
        """What made a player's state, the latest first."""
        asked = protocol.History(player_id, state_key, since, before, outcome, producer, limit, everywhere)
        return self._call(asked, HistoryPage)

    def dead_letters(self, *, after: str = "", limit: int = 100, where: LetterFilter = EVERY) -> list[DeadLetter]:
        """The next dead letters."""
        return self._call(protocol.ListDeadLetters(after, limit, where), list[DeadLetter])

    def send_again(self, letter_id: str) -> list[Answer]:
        """Send the updates of a dead letter again."""
        return self._call(protocol.SendAgain(letter_id), list[Answer], changes=True)

    def set_value(
        self, player_id: str, state_key: str, value: Json, *, reason: str, dry_run: bool = False
    ) -> Amendment:
        """Put a key to a value."""
        text = protocol.json_of(value)
        request = protocol.SetValue(player_id, state_key, text, reason, dry_run)
        return self._call(request, Amendment, wait_s=WAIT_MAX_S, changes=not dry_run)

    def undo(self, identity: Identity, *, reason: str, dry_run: bool = False) -> Amendment:
        """Take back what an update did."""
        request = protocol.Undo(identity, reason, dry_run)
        return self._call(request, Amendment, wait_s=WAIT_MAX_S, changes=not dry_run)

    def discard(self, letter_id: str, *, reason: str) -> GoneLetter:
        """Have a dead letter go."""
        return self._call(protocol.Discard(letter_id, reason), GoneLetter, changes=True)

    def gone_letters(self, *, after: int = 0, limit: int = 100, where: LetterFilter = EVERY) -> Sequence[GoneLetter]:
        """The next records of dead letters that have gone."""
        return self._call(protocol.ListGoneLetters(after, limit, where), list[GoneLetter])

    def gone_letter(self, letter_id: str) -> GoneLetter | None:
        """The latest record of a dead letter that has gone."""
        return self._call(protocol.GetGoneLetter(letter_id), GoneLetter | None)

    def erase(self, player_id: str, *, reason: str) -> list[Accepted]:
        """Erase a player."""
        return self._call(protocol.Erase(player_id, reason), list[Accepted], changes=True)

    def export(self, player_id: str) -> Export:
        """Everything that is held about a player."""
        return self._call(protocol.GetExport(player_id), Export)

    def verify(self, cursor: str = "", *, keys: int = 1000, sample: bool = False, repair: bool = True) -> Compared:
        """Compare what should agree, now."""
        return self._call(protocol.Verify(cursor, keys, sample, repair), Compared)

    def findings(self, player_id: str | None = None, *, before: str | None = None, limit: int = 100) -> list[Finding]:
        """What verification has found."""
        return self._call(protocol.ListFindings(player_id, before, limit), list[Finding])

    def neighbours(self, player_id: str, label: str) -> list[str]:
        """The vertices that a player's edges of a label lead to."""
        return self._call(protocol.Neighbours(player_id, label), list[str])

    def friends_of_friends(self, player_id: str, label: str, *, limit: int = 1000) -> list[str]:
        """The vertices two edges away."""
        return self._call(protocol.FriendsOfFriends(player_id, label, limit), list[str])

    def shortest_path(self, start: str, end: str, label: str, *, edges_max: int = 6) -> list[str] | None:
        """A shortest path along edges of a label."""
        return self._call(protocol.ShortestPath(start, end, label, edges_max), list[str] | None)

    def drain(self, *, timeout_s: float) -> bool:
        """Wait until everything accepted so far has gone all the way."""
        return self._call(protocol.Drain(timeout_s), bool, wait_s=timeout_s)

    def stats(self) -> Stats:
        """What the node has done since it started."""
        return self._call(protocol.GetStats(), Stats)

    def alarms(self) -> list[Alarm]:
        """The alarms that fire."""
        return self._call(protocol.GetAlarms(), list[Alarm])

    def settings(self) -> SettingsTold:
        """What is set for the node."""
        return self._call(protocol.GetSettings(), SettingsTold)

    def close(self) -> None:
        """Let go of the connections; the node runs on."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _call(self, request: Request, result: Any, *, wait_s: float = 0.0, changes: bool = False) -> Any:
        """Make a call. If the connection breaks, nothing is known of a call that `changes` something."""
        connection = self._take_idle() or self._open()
        connection.settimeout(wait_s + CALL_TIMEOUT_S)
        try:
            protocol.send_frame(connection, request)
            frame = protocol.receive_frame(connection)
        except OSError as exc:
            connection.close()
            kind = OutcomeUnknown if changes else Unavailable
            raise kind(f"the node did not answer: {exc}") from exc
        if frame is None:
            connection.close()
            raise (OutcomeUnknown if changes else Unavailable)("the node went away")
        with self._lock:
            self._idle.append(connection)
        return _result(frame, result)

    def _take_idle(self) -> socket.socket | None:
        """A connection that was kept and that nobody has closed meanwhile."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not select.select([connection], [], [], 0)[0]:
                return connection
            connection.close()  # nothing is owed to us, so what can be read is its end

    def _open(self) -> socket.socket:
        try:
            address = msgspec.json.decode((self._folder / ADDRESS_FILE).read_bytes(), type=Address)
        except (OSError, msgspec.DecodeError) as exc:
            raise Unavailable(f"no node runs on {self._folder}") from exc
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CALL_TIMEOUT_S)
            connection.connect(address.socket)
        except OSError as exc:
            connection.close()
            raise Unavailable(f"no node answers on {self._folder}: {exc}") from exc
        return connection


def _watched(connection: socket.socket) -> Iterator[View | None]:
    with contextlib.closing(connection):
        try:
            while True:
                yield _result(protocol.receive_frame(connection), View | None)
        except OSError as exc:
            raise Unavailable(f"the node went away: {exc}") from exc


def _result(frame: bytes | None, result: Any) -> Any:
    if frame is None:
        raise Unavailable("the node went away")
    reply = _decode_reply(frame)
    if reply.ok:
        return msgspec.json.decode(reply.body, type=result)
    raise protocol.error_of(msgspec.json.decode(reply.body, type=Problem))
