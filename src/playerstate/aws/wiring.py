"""Which backend stands behind which port on AWS, each made when it is first asked for, and once.

What a function does not ask for is neither made nor imported, and its settings need not be there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from playerstate.aws import settings as s
from playerstate.aws.settings import Environment
from playerstate.backends.aws.clients import Clients
from playerstate.core.schema import Schema, parse_schema
from playerstate.errors import StartRefused
from playerstate.runtime.clock import SystemClock

if TYPE_CHECKING:
    from playerstate.backends.aws.bodies import Overflow
    from playerstate.backends.aws.control import Control
    from playerstate.backends.aws.queue import SqsQueue
    from playerstate.ports.audit import Audit
    from playerstate.ports.cache import Cache
    from playerstate.ports.dead_letters import DeadLetters
    from playerstate.ports.findings import Findings
    from playerstate.ports.graph import Graph
    from playerstate.ports.replication import Copies
    from playerstate.ports.store import Store
    from playerstate.stages.inquiry import Inquiry
    from playerstate.stages.project import Group
    from playerstate.stages.verify import Verified
    from playerstate.stages.verify_once import VerifyOnce

VERIFY_MAX_S = 20
"""How long one call looks at further players, before it says that there was no time for the others."""


class Wiring:
    """The parts of one region of a deployment."""

    def __init__(self, environment: Environment, clients: Clients, *, schema_text: str | None = None) -> None:
        """Take the schema's text where it is not in a file."""
        self.environment = environment
        self._schema_text = schema_text
        self.clients = clients
        self.clock = SystemClock()

    @cached_property
    def region(self) -> str:
        """The id of this region."""
        return self.environment.text(s.REGION)

    @cached_property
    def regions(self) -> list[str]:
        """All regions whose rows may exist, this one's first."""
        others = [*self.environment.names(s.REGIONS), *self.predecessors, *self.retired]
        return list(dict.fromkeys([self.region, *others]))

    @cached_property
    def predecessors(self) -> list[str]:
        """The ids that this region had before."""
        return self.environment.names(s.PREDECESSORS)

    @cached_property
    def retired(self) -> Mapping[str, str]:
        """The regions that are gone, and their heirs."""
        return self.environment.pairs(s.RETIRED)

    @cached_property
    def schema(self) -> Schema:
        """The game's schema. Raises `StartRefused` if it cannot be read."""
        if self._schema_text is not None:
            return parse_schema(self._schema_text)
        path = Path(self.environment.text(s.SCHEMA))
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise StartRefused(f"The game's schema cannot be read: {path}") from exc
        return parse_schema(text)

    @cached_property
    def store(self) -> Store:
        """The rows."""
        from playerstate.backends.aws.store import DynamoStore

        regions = self.regions  # at once, so that a setting that is missing is told at the start
        return DynamoStore(self.clients, self.environment.text(s.TABLE), self.region, lambda: regions)

    @cached_property
    def control(self) -> Control:
        """The table of everything that is small."""
        from playerstate.backends.aws.control import Control

        return Control(self.clients, self.environment.text(s.CONTROL_TABLE))

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The dead letters."""
        from playerstate.backends.aws.dead_letters import DynamoDeadLetters

        return DynamoDeadLetters(self.control)

    @cached_property
    def findings(self) -> Findings:
        """The findings."""
        from playerstate.backends.aws.findings import DynamoFindings

        return DynamoFindings(self.control)

    @cached_property
    def overflow(self) -> Overflow | None:
        """Where bodies lie that no message holds."""
        bucket = self.environment.text(s.OVERFLOW_BUCKET)
        if not bucket:
            return None
        from playerstate.backends.aws.overflow import S3Overflow

        return S3Overflow(self.clients, bucket)

    def queue(self, setting: s.Setting, *, wait_s: int = 1) -> SqsQueue:
        """The queue whose URL a setting is; a receive waits `wait_s` for a message."""
        from playerstate.backends.aws.queue import SqsQueue

        return SqsQueue(self.clients, self.environment.text(setting), overflow=self.overflow, wait_s=wait_s)

    def queue_if_any(self, setting: s.Setting) -> SqsQueue | None:
        """The queue whose URL a setting is, None where it is empty."""
        return self.queue(setting) if self.environment.text(setting) else None

    def groups(self) -> list[Group]:
        """The consumer groups, behind the topic."""
        from playerstate.backends.aws.topic import SnsTopic
        from playerstate.stages.project import fan_out

        arn = self.environment.text(s.TOPIC_ARN)
        return fan_out(self.schema, lambda attributes: SnsTopic(self.clients, arn, attributes, overflow=self.overflow))

    @cached_property
    def cache(self) -> Cache:
        """The hot cache."""
        from playerstate.aws.access import cache_credentials
        from playerstate.backends.valkey.cache import ValkeyCache

        return ValkeyCache.open(self.environment.text(s.CACHE_URL), credentials=cache_credentials(self))

    @cached_property
    def graph(self) -> Graph:
        """The social graph: Neptune's, or for a trial one on this machine, at `ladybug:FOLDER`."""
        url = self.environment.text(s.GRAPH_URL)
        if url.startswith("ladybug:"):
            from playerstate.backends.ladybug.graph import LadybugGraph

            return LadybugGraph(Path(url.removeprefix("ladybug:")), self.schema)
        from playerstate.backends.aws.neptune import NeptuneGraph
        from playerstate.backends.aws.neptune_http import NeptuneEndpoint

        return NeptuneGraph(NeptuneEndpoint(url, self.clients), self.schema)

    @cached_property
    def audit(self) -> Audit:
        """The audit log: InfluxDB's, LiveAnalytics', or for a trial one on this machine, at `sqlite:FILE`."""
        store, url = self.environment.text(s.AUDIT_STORE), self.environment.text(s.AUDIT_URL)
        if url.startswith("sqlite:"):
            from playerstate.backends.sqlite.audit import SqliteAudit

            return SqliteAudit(Path(url.removeprefix("sqlite:")))
        database = self.environment.text(s.AUDIT_DATABASE)
        if store == "timestream":
            from playerstate.backends.aws.timestream import TimestreamAudit

            if self.environment.text(s.AUDIT_KEEPS_ERASED) != "yes":
                raise StartRefused(
                    "Timestream for LiveAnalytics cannot erase a player's records: "
                    f"say {s.AUDIT_KEEPS_ERASED.variable}=yes if they may stay there for as long as it keeps them"
                )
            table = self.environment.text(s.AUDIT_TABLE)
            return TimestreamAudit(self.clients, database, table, keeps_what_is_erased=True)
        if store != "influxdb":
            raise StartRefused(f"The audit lies in `influxdb` or in `timestream`, not in {store!r}")
        from playerstate.aws.access import audit_token
        from playerstate.backends.aws.influx_audit import InfluxAudit
        from playerstate.backends.aws.influx_http import InfluxServer

        return InfluxAudit(InfluxServer(url, database, token=audit_token(self)), self.clock)

    @cached_property
    def verified(self) -> Verified:
        """What verification compares."""
        from playerstate.aws.ways import NoPositions
        from playerstate.stages.verify import Verified

        nowhere = NoPositions()
        copies = self.copies
        return Verified(self.store, nowhere, nowhere, self.cache, self.graph, self.audit, lambda: copies)

    @cached_property
    def copies(self) -> list[Copies]:
        """What other regions have of this region's rows."""
        from playerstate.backends.aws.copies import DynamoCopies
        from playerstate.backends.aws.store import DynamoStore

        table = self.environment.text(s.TABLE)
        replicas = self.environment.pairs(s.REPLICAS).items()
        stores = {
            region: DynamoStore(self.clients.in_region(aws_region), table, region, lambda: self.regions)
            for region, aws_region in replicas
        }
        return [DynamoCopies(region, self.region, store) for region, store in stores.items()]

    def verify_once(self, *, stuck_after_s: float) -> VerifyOnce:
        """What verifies on demand; what lags is stale once it has been stuck for so long."""
        from playerstate.core.suspicions import Suspicions
        from playerstate.stages.inquiry import Inquiry
        from playerstate.stages.repairs import Repairs
        from playerstate.stages.verify import Verify
        from playerstate.stages.verify_once import VerifyOnce
        from playerstate.stages.walk import Walk

        compared, recorded = self.verified, self.findings

        def begin(repair: bool) -> Inquiry:
            return Inquiry(
                self.region,
                Verify(self.schema, self.region, compared),
                Repairs(self.schema, self.region, compared, self.clock),
                recorded if repair else None,
                self.clock,
                Suspicions(lambda _: stuck_after_s * 1000),
                repairs_wanted=lambda: repair,
            )

        walk, random = Walk(compared), Random()  # noqa: S311 - samples
        return VerifyOnce(walk, begin, compared.store.count, random, time.sleep, time_max_s=VERIFY_MAX_S)
