"""Groups of writes of rows, tried on DynamoDB until each is written or has failed its condition.

    group of one row     a PartiQL statement, 25 of them a call    INSERT, or UPDATE ... WHERE version_vector = seen
    group of many rows   a transaction, with others in it          Put or Update on the same conditions

Statements of a call are independent of one another. A transaction is all or nothing, so groups go together only as long
as nothing is wrong with any: what a transaction was cancelled for goes on alone, and those that went with it once more.
Every call costs more than what is in it, and nearly all transactions succeed. A try that may have had its effect (a
time-out, a fault of the service) is repeated as it was: either its condition holds still, or somebody has written the
row since it was read. If what is there then is exactly what was to be written, it was this try.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.rows import BODY, PLACE, PLAYER, VERSION, item_key, place
from playerstate.backends.aws.transactions import ACTIONS_MAX, BUSY, FAILED, FAULT, deciding, reasons_of
from playerstate.core.model import Key
from playerstate.core.replica import Write
from playerstate.errors import NotNow, OutcomeUnknown, PlayerStateError, SlowDown, Unavailable

STATEMENTS_MAX = 25
"""What DynamoDB takes in a call."""

CALL_BYTES_MAX = 4 * 1024 * 1024
"""Of rows in a call of statements, but for one that is larger by itself."""

TOGETHER_MAX = 20
"""Groups in one transaction."""

TRANSACTION_BYTES_MAX = 3_500_000
"""Of rows in one transaction, but for a group that is larger by itself."""

ROUNDS_MAX = 8

Rows = Mapping[tuple[Key, str], tuple[str, bytes]]
"""Version and body of rows, by key and region."""


class _Try:
    """A group, and what has become of it: `written` is None until that is known.

    `maybe` says that an earlier try may have written it, `in_doubt` that its condition failed after such a one,
    `error` why it is not done, and `again` whether a moment may change that. One that is not done for a reason of its
    own goes `alone`, and has then the `token` of its transaction.
    """

    __slots__ = ("again", "alone", "error", "in_doubt", "maybe", "token", "writes", "written")

    def __init__(self, writes: Sequence[Write]) -> None:
        self.writes = writes
        self.written: bool | None = None if writes else True
        self.maybe = self.in_doubt = self.alone = False
        self.again = True
        self.error: PlayerStateError | None = None
        self.token = ""

    def take(self, code: str) -> None:
        """Take in the code that DynamoDB has answered this group with."""
        if code in FAILED:
            self.in_doubt = self.maybe
            self.written = None if self.maybe else False
        elif code == FAULT:
            self.fail(OutcomeUnknown(f"dynamodb: {code}"))
        else:
            busy = code in BUSY
            self.fail(SlowDown(f"dynamodb: {code}") if busy else Unavailable(f"dynamodb: {code}"), again=busy)

    def fail(self, error: PlayerStateError, *, again: bool = False) -> None:
        """Take in that this try came to nothing, or that nobody knows what it came to."""
        unknown = isinstance(error, OutcomeUnknown)
        self.error, self.again = error, again or unknown
        self.maybe |= unknown
        self.alone = True

    def go_again(self) -> None:
        """Take in that this try came to nothing because of others that went with it."""
        self.error, self.again = Unavailable("dynamodb: a transaction was cancelled for another group"), True


class Commits:
    """Writes groups to a table, in calls that `pool` makes at once.

    `read` gives the rows of writes as they are, consistently; what is absent is left out.
    """

    def __init__(
        self, clients: Clients, table: str, pool: ThreadPoolExecutor, read: Callable[[Sequence[Write]], Rows]
    ) -> None:
        self._clients = clients
        self._table = table
        self._pool = pool
        self._read = read
        self._insert = f"INSERT INTO \"{table}\" VALUE {{'{PLAYER}': ?, '{PLACE}': ?, '{VERSION}': ?, '{BODY}': ?}}"
        self._update = (
            f'UPDATE "{table}" SET {BODY} = ? SET {VERSION} = ? WHERE {PLAYER} = ? AND {PLACE} = ? AND {VERSION} = ?'
        )

    def commit(self, groups: Sequence[Sequence[Write]]) -> list[bool]:
        """Try each group upon what those before it have written; True where it was written.

        The rows of a group differ. Raises `NotNow` if nothing of all was written, `OutcomeUnknown` otherwise.
        """
        tries = [_Try(list(group)) for group in groups]  # taken before anything is written: the source may fail
        for wave in _waves(tries):
            self._write(wave)
            undone = next((one for one in wave if one.written is None), None)
            if undone is not None:
                error = undone.error or Unavailable("dynamodb: rows could not be written")
                if any(one.written or one.maybe for one in tries if one.writes):
                    raise OutcomeUnknown(f"some rows were or may have been written: {error}") from error
                raise error
        return [one.written is True for one in tries]

    def _write(self, wave: Sequence[_Try]) -> None:
        """Try groups without a row in common until all are done, one cannot be, or it has been tried often enough."""
        for tries in range(ROUNDS_MAX):
            if tries:
                self._clients.pause(tries)
            self._try_once(wave)
            wave = [one for one in wave if one.written is None]
            if not wave or not all(one.again for one in wave):
                return

    def _try_once(self, wave: Sequence[_Try]) -> None:
        calls: list[Callable[[], None]] = [partial(self._execute, batch) for batch in _batches(wave)]
        calls += [partial(self._transact, together) for together in _transactions(wave)]
        if len(calls) == 1:
            calls[0]()
        else:
            for done in [self._pool.submit(call) for call in calls]:
                done.result()
        doubtful = [one for one in wave if one.written is None and one.in_doubt]
        if doubtful:
            self._settle(doubtful)

    def _execute(self, batch: Sequence[_Try]) -> None:
        statements = [self._statement(*one.writes[0]) for one in batch]
        try:
            answer = self._clients.write("dynamodb", "batch_execute_statement", Statements=statements)
        except (NotNow, OutcomeUnknown) as exc:
            for one in batch:
                one.fail(exc)
            return
        for one, response in zip(batch, answer["Responses"], strict=True):
            if "Error" in response:
                one.take(str(response["Error"].get("Code", "")))
            else:
                one.written = True

    def _statement(
        self, key: Key, region: str, seen: str | None, version: str, _old: bytes | None, new: bytes
    ) -> dict[str, Any]:
        who, where = {"S": key.player_id}, {"S": place(key.state_key, region)}
        if seen is None:
            return {"Statement": self._insert, "Parameters": [who, where, {"S": version}, {"B": new}]}
        return {"Statement": self._update, "Parameters": [{"B": new}, {"S": version}, who, where, {"S": seen}]}

    def _transact(self, together: Sequence[_Try]) -> None:
        token = (together[0].token if len(together) == 1 else "") or str(uuid.uuid4())
        items = [self._action(write) for one in together for write in one.writes]
        try:
            self._clients.write("dynamodb", "transact_write_items", TransactItems=items, ClientRequestToken=token)
        except (NotNow, OutcomeUnknown) as exc:
            cancelled = reasons_of(exc)
            reasons = iter(cancelled)
            for one in together:
                code = deciding([code for _, code in zip(one.writes, reasons, strict=False)])
                if code:
                    one.take(code)
                elif cancelled:
                    one.go_again()
                else:
                    one.fail(exc)
                # with the same token DynamoDB knows that it has done this already; with others in it it was another
                one.token = token if one.maybe and len(together) == 1 else ""
        else:
            for one in together:
                one.written = True

    def _action(self, write: Write) -> dict[str, Any]:
        where = item_key(write.key, write.region)
        if write.seen is None:
            item = {**where, VERSION: {"S": write.version}, BODY: {"B": write.new}}
            condition = f"attribute_not_exists({VERSION})"
            return {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": condition}}
        return {
            "Update": {
                "TableName": self._table,
                "Key": where,
                "UpdateExpression": f"SET {BODY} = :body, {VERSION} = :version",
                "ConditionExpression": f"{VERSION} = :seen",
                "ExpressionAttributeValues": {
                    ":body": {"B": write.new},
                    ":version": {"S": write.version},
                    ":seen": {"S": write.seen},
                },
            }
        }

    def _settle(self, doubtful: Sequence[_Try]) -> None:
        """Find out by what is there whether the conditions failed because an earlier try was the one that wrote."""
        try:
            rows = self._read([write for one in doubtful for write in one.writes])
        except NotNow as exc:
            for one in doubtful:
                one.in_doubt = False  # until it is tried again, and fails again
                one.fail(exc, again=True)
            return
        for one in doubtful:
            one.written = all(rows.get((w.key, w.region)) == (w.version, w.new) for w in one.writes)


def _waves(tries: Iterable[_Try]) -> Iterator[Sequence[_Try]]:
    """Groups in waves: each in the one behind the last group before it that has a row of it."""
    waves: list[list[_Try]] = []
    wave_of: dict[tuple[Key, str], int] = {}
    for one in tries:
        if not one.writes:
            continue
        rows = [(write.key, write.region) for write in one.writes]
        number = max([wave_of.get(row, -1) for row in rows]) + 1
        wave_of.update(dict.fromkeys(rows, number))
        if number == len(waves):
            waves.append([])
        waves[number].append(one)
    yield from waves


def _batches(wave: Iterable[_Try]) -> Iterator[Sequence[_Try]]:
    """The groups of one row, as many as go into a call each."""
    batch: list[_Try] = []
    size = 0
    for one in wave:
        if len(one.writes) > 1:
            continue
        more = len(one.writes[0].new)
        if len(batch) == STATEMENTS_MAX or (batch and size + more > CALL_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += more
    if batch:
        yield batch


def _transactions(wave: Iterable[_Try]) -> Iterator[Sequence[_Try]]:
    """The groups of several rows, as many as go into a transaction together."""
    together: list[_Try] = []
    actions = size = 0
    for one in wave:
        if len(one.writes) < 2:
            continue
        if one.alone:
            yield [one]
            continue
        more = sum([len(write.new) for write in one.writes])
        if together and (
            len(together) == TOGETHER_MAX
            or actions + len(one.writes) > ACTIONS_MAX
            or size + more > TRANSACTION_BYTES_MAX
        ):
            yield together
            together, actions, size = [], 0, 0
        together.append(one)
        actions, size = actions + len(one.writes), size + more
    if together:
        yield together
