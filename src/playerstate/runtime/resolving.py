"""The consumer of the resolver's queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

import msgspec
import structlog

from playerstate.core.answers import StageStats
from playerstate.core.model import Identity, Key, Stage
from playerstate.core.resolution import RESOLVER
from playerstate.core.wire import Call, decode_call, encode_call
from playerstate.errors import InvalidUpdate
from playerstate.ports.clock import Clock
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.queue import Queue
from playerstate.ports.stream import Checkpoints
from playerstate.runtime.consumers import Report
from playerstate.runtime.messages import VISIBILITY_S, dead_message
from playerstate.stages.resolve import Resolve

CALLS_MAX = 200
ATTEMPTS_MAX = 12
BACKOFF_MIN_S, BACKOFF_MAX_S = 0.2, 60.0

log = structlog.get_logger(__name__)


def _sweep_name(retired: Iterable[str]) -> str:
    """What a look at all keys is called among the checkpoints, by whose retirement has called for it."""
    return f"sweep:{','.join(sorted(retired))}"


class ResolveConsumer:
    """The resolver's queue -> resolve. What changed under its hands comes again later, a bounded number of times.

    When a region has been retired, it looks at every key once: some of them may hold what only that region has said.
    As long as `waits_for` names something, nothing is resolved. Without checkpoints it looks at no key by itself.
    """

    name: Stage = "resolve"
    linger_s = 0.1
    batch_max = CALLS_MAX

    def __init__(
        self,
        queue: Queue,
        resolve: Resolve,
        checkpoints: Checkpoints | None,
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        waits_for: Callable[[], str] = str,
        random: Random | None = None,
    ) -> None:
        self.stats = StageStats()
        self.conflicts_resolved = 0
        self._waits_for = waits_for
        self._queue = queue
        self._resolve = resolve
        self._checkpoints = checkpoints
        self._swept = _sweep_name(())
        self._sweeping: tuple[str, Key | None] = ("", None)
        self._dead_letters = dead_letters
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - jitter

    def step(self) -> int:
        """Take the next calls, and some of the keys that have to be looked at."""
        if self._waits_for():
            return 0
        swept = self._sweep()
        messages = self._queue.receive(self.batch_max, visibility_s=VISIBILITY_S)
        if not messages:
            return swept
        calls: dict[Key, Call] = {}
        for message in messages:
            try:
                call = decode_call(message.body)
                self._resolve.check(call.key)
            except InvalidUpdate as exc:
                self._put_aside(message.body, exc.code, str(exc))
            else:
                calls[call.key] = max(call, calls.get(call.key, call), key=lambda call: call.attempts)
        resolved = self._resolve.handle(list(calls))
        self.conflicts_resolved += resolved.joined
        self._tell(resolved.overspent)
        self._retry([calls[key] for key in resolved.again])
        self._queue.delete([message.receipt for message in messages])
        self.stats.processed += len(messages)
        return len(messages) + swept

    def tell(self, report: Report) -> None:
        """How many conflicts there were."""
        report.conflicts_resolved = self.conflicts_resolved

    def _sweep(self) -> int:
        """Look at the next keys, if a retirement has called for that; how many."""
        if self._checkpoints is None:
            return 0
        name = _sweep_name(self._resolve.retired)
        if name == self._swept or self._checkpoints.load(name):
            self._swept = name
            return 0
        sweeping, after = self._sweeping
        keys = self._resolve.keys(after if sweeping == name else None, self.batch_max)
        if keys:
            resolved = self._resolve.handle(keys)
            self.conflicts_resolved += resolved.joined
            self._tell(resolved.overspent)
            self._retry([Call(*key) for key in resolved.again])
            self._sweeping = name, keys[-1]
        else:
            self._checkpoints.save(name, 1)
        return len(keys)

    def _tell(self, overspent: Mapping[Key, Mapping[str, int]]) -> None:
        """Put what is below its minimum where an operator finds it, once a key."""
        for key, below in overspent.items():
            log.warning("more was spent than there was", state_key=key.state_key)
            body, how_far = encode_call(key), ", ".join(f"{item or 'it'} by {n}" for item, n in below.items())
            reason = f"{key} is below its minimum ({how_far}): a retired region had spent what nobody knew of"
            self._put_aside(body, "overspent", reason, key)

    def _retry(self, calls: Sequence[Call]) -> None:
        for call in calls:
            attempts = call.attempts + 1
            if attempts >= ATTEMPTS_MAX:
                reason = "The rows kept changing under the resolver"
                self._put_aside(encode_call(call.key), "too_many_attempts", reason, call.key)
            else:
                delay_s = min(BACKOFF_MIN_S * 2**attempts, BACKOFF_MAX_S) * (0.5 + self._random.random())
                self._queue.send([encode_call(call.key, attempts)], delay_s=delay_s)

    def _put_aside(self, body: bytes, code: str, reason: str, key: Key | None = None) -> None:
        letter = dead_message(self.name, body, code, reason, self._clock.now_ms())
        if key is not None:  # so that it is found, and goes, with the player
            letter = msgspec.structs.replace(letter, identity=Identity(RESOLVER, 0, *key))
        self._dead_letters.put([letter])
