"""One region on the emulator: what lasts, and the functions that come and go, each behind its poller."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from aws.cloud import Told
from aws.faults import Faults, FaultyClients, Function, Gate, Zombies
from aws.polling.invocation import FunctionError, Handler, Outcome
from aws.polling.queue_poller import QueuePoller
from aws.polling.settings import MappingSettings
from aws.polling.shards import Shards
from aws.polling.sources import DynamoDBSource, KinesisSource
from aws.polling.stream_poller import StreamPoller
from aws.runs.parts import FaultyPart
from ministack import MiniStack
from playerstate.aws import settings as s
from playerstate.aws.applying import applying
from playerstate.aws.meter import Meter
from playerstate.aws.settings import Environment
from playerstate.aws.trial import make_trial
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.kinesis import KinesisStream
from playerstate.backends.aws.queue import SqsQueue
from playerstate.backends.aws.store import DynamoStore
from playerstate.backends.memory.audit import MemoryAudit
from playerstate.backends.memory.clock import ManualClock
from playerstate.backends.memory.dead_letters import MemoryDeadLetters
from playerstate.backends.memory.findings import MemoryFindings
from playerstate.backends.memory.graph import MemoryGraph
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.core.model import Key
from playerstate.core.schema import Schema
from playerstate.lambdas import audit, link, project, resolve
from playerstate.stages.accept import Accept, Lanes

APPLY = MappingSettings(batch_size_max=8, parallelization_factor=3, bisects_on_function_error=True)
PROJECT = MappingSettings(batch_size_max=8, parallelization_factor=2, bisects_on_function_error=True)
QUEUE = MappingSettings(batch_size_max=10)
RECEIVES_MAX = 1_000
"""A crash in the middle costs a message a delivery, and here there are many."""
ACCEPT_TIMES = 6
"""How much likelier things go wrong for accept, which tries five times before it gives up."""
MAKERS: Mapping[str, Callable[[Wiring, Meter], Callable[[Any], Any]]] = {
    "apply": applying,
    "project": project.projecting,
    "link": link.make,
    "audit": audit.make,
    "resolve": resolve.make,
}


class AtOnce(SqsQueue):
    """A queue that delays nothing: what comes early finds less settled, and nobody has to wait."""

    def send(self, bodies: Sequence[bytes], *, delay_s: float = 0.0) -> None:
        """Put messages on the queue."""
        super().send(bodies)


class AwsRegion:
    """A deployment's region, made by calls, with its pollers. `told` has the errors of functions, the latest last."""

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        schema: Schema,
        keys: Sequence[Key],
        ministack: MiniStack,
        clients: Clients,
        cache_url: str,
        clock: ManualClock,
        random: Random,
        faults: Faults,
        zombies: Zombies,
    ) -> None:
        self.name = name
        self.clock = clock
        self.schema = schema
        self.lost: dict[Key, int] = dict.fromkeys(keys, 0)
        """How often the cache has lost what it held of a key."""
        self.told: list[str] = []
        deployment = ministack.name("run")
        given = {s.REGIONS: ",".join(names), s.CACHE_URL: cache_url, s.RECHECK_QUEUE_URL: ""}
        make_trial(clients, deployment, name, given)
        answer = clients.read("ssm", "get_parameter", Name=f"/{deployment}/settings")
        self._settings = answer["Parameter"]["Value"]
        self.settings: dict[str, str] = json.loads(self._settings)
        self.cache = ValkeyCache.open(cache_url)
        self.graph, self.audit = MemoryGraph(), MemoryAudit()
        self.dead_letters, self.findings = MemoryDeadLetters(), MemoryFindings()
        self.store = DynamoStore(clients, self.settings[s.TABLE.name], name, lambda: names)
        self._clients = clients
        self._faults = faults
        self._wirings: list[Wiring] = []
        self._boots = 0
        self.boot()
        self.functions = {
            of: Function(f"{name} {of}", self._building(of), clients, faults, zombies, random) for of in MAKERS
        }
        self.apply = self._streaming("apply", KinesisSource(clients, self.stream), APPLY, random)
        self.project = self._streaming("project", DynamoDBSource(clients, self.table), PROJECT, random)
        self.queues = {of: self._queueing(of) for of in ("link", "audit", "resolve")}
        self.steps: dict[str, Callable[[], int]] = {"apply": self.apply.step, "project": self.project.step}
        self.steps |= {of: poller.step for of, poller in self.queues.items()}

    @property
    def stream(self) -> str:
        """The name of the Kinesis stream."""
        return self.settings[s.STREAM.name]

    @property
    def table(self) -> str:
        """The name of the table of rows."""
        return self.settings[s.TABLE.name]

    @property
    def idle(self) -> bool:
        """Whether nothing waits anywhere."""
        return self.apply.idle and self.project.idle and all(poller.idle for poller in self.queues.values())

    def boot(self) -> None:
        """Start accept anew: nothing is left of what it had in memory."""
        self._boots += 1
        stream = KinesisStream(FaultyClients(self._clients, self._faults, times=ACCEPT_TIMES), self.stream)
        self.accept = Accept(self.schema, stream, self.clock, Lanes(f"{self.name}.{self._boots}", 1))

    def lose_cache(self) -> None:
        """Have the cache lose everything."""
        self.cache._connections.call("FLUSHALL")
        for key in self.lost:
            self.lost[key] += 1

    def close(self) -> None:
        """End what was begun."""
        self.cache.close()
        self.store.close()
        for wiring in self._wirings:
            wiring.store.close()

    def _streaming(
        self, of: str, source: KinesisSource | DynamoDBSource, settings: MappingSettings, random: Random
    ) -> StreamPoller:
        return StreamPoller(source, self._telling(of), settings, self.clock, random, shards=Shards(2))

    def _queueing(self, of: str) -> QueuePoller:
        url = self.settings[f"{of}_queue_url"]
        read = self._clients.read("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["RedrivePolicy"])
        redrive = json.loads(read["Attributes"]["RedrivePolicy"]) | {"maxReceiveCount": RECEIVES_MAX}
        attributes = {"RedrivePolicy": json.dumps(redrive)}
        self._clients.write("sqs", "set_queue_attributes", QueueUrl=url, Attributes=attributes)
        return QueuePoller(self._clients, url, self._telling(of), QUEUE, self.clock)

    def _telling(self, of: str) -> Callable[[Mapping[str, Any]], Outcome]:
        def invoke(event: Mapping[str, Any]) -> Outcome:
            outcome = self.functions[of](event)
            if isinstance(outcome, FunctionError):
                self.told.append(f"{of}: {outcome.what}")
            return outcome

        return invoke

    def _building(self, of: str) -> Callable[[Clients, Gate], Handler]:
        """How an environment of a function begins: wired as in production, but for parts that are not there."""

        def build(clients: Clients, gate: Gate) -> Handler:
            wiring: Any = Wiring(Environment.of_parameter(self._settings, "settings"), clients)
            wiring.schema, wiring.clock = self.schema, self.clock

            def part(name: str, *writes: str) -> Any:
                return FaultyPart(getattr(self, name), name, self._faults, gate, writes=writes)

            wiring.cache = part("cache", "put", "replace")
            wiring.graph = part("graph", "sync")
            wiring.audit = part("audit", "append", "note", "erase")
            wiring.dead_letters = part("dead_letters", "put")
            wiring.findings = part("findings", "put")
            wiring.queue = lambda setting: AtOnce(clients, wiring.environment.text(setting), wait_s=0)
            self._wirings.append(wiring)
            function = MAKERS[of](wiring, Told())
            return lambda event, _: function(event)

        return build
