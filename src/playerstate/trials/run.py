"""Rounds of trials: traffic, faults, healing, and the reckoning.

Every round has players and producers of its own, so that a reckoning is about one round; at the end all players are
looked at once more, for what came later must not have spoilt what was right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

from playerstate.core.findings import CACHE, Finding, Kind, Repair
from playerstate.deployment import Deployment
from playerstate.errors import PlayerStateError, StartRefused
from playerstate.simulation.history import History, Sent
from playerstate.trials.checkers import APPLIED, violations
from playerstate.trials.clients import Client
from playerstate.trials.facts import Facts
from playerstate.trials.faults import Fault, draw
from playerstate.trials.inflict import Inflictor
from playerstate.trials.look import look_at_all
from playerstate.trials.processes import RegionProcess
from playerstate.trials.readers import Reader
from playerstate.trials.report import RoundReport, TrialOptions, TrialReport
from playerstate.trials.settling import lagging, settle
from playerstate.trials.traffic import SCHEMA, GameServer, game_toml

REGIONS = (
    "us-east-1",
    "eu-west-1",
    "ap-northeast-1",
    "sa-east-1",
    "ca-central-1",
    "eu-north-1",
    "ap-south-1",
    "us-west-2",
    "af-south-1",
)
PLAYERS = ("ada", "bob", "cy", "dee", "eve", "fay")
CLIENTS_PER_REGION = 3
QUIET_S = 0.4
"""How long traffic runs before the first fault, and after the last."""
ACKNOWLEDGED_WITHIN_S = 40.0
SETTLED_WITHIN_S = 90.0


class Trials:
    """A deployment in a folder, which must be empty, and what was done to it. `close` ends all its processes.

    Raises `StartRefused` if a folder cannot be used. Whether faults can be inflicted here, `check_platform` says.
    """

    def __init__(self, folder: Path, options: TrialOptions) -> None:
        self.options = options
        self.deployment = Deployment.make(folder, REGIONS[: options.regions])
        self.processes: dict[str, RegionProcess] = {}
        for region in REGIONS[: options.regions]:
            data = self.deployment.folder_of(region).absolute()
            data.mkdir(mode=0o700)
            (data / "game.toml").write_text(game_toml(REGIONS[0]), "utf-8")
            self.processes[region] = RegionProcess(region, data, folder.absolute() / f"{region}.log")
        self._past = Facts(History(SCHEMA))

    def start(self) -> None:
        """Start all nodes. Raises `Unavailable` if one does not answer."""
        for process in self.processes.values():
            process.start()
        for process in self.processes.values():
            process.connect().close()

    def close(self) -> None:
        """End everything that was started."""
        for process in self.processes.values():
            process.stop()

    def round(self, number: int, before_reckoning: Callable[[Trials], None]) -> RoundReport:
        """Run a round. Raises `Unavailable` if a node cannot be had again."""
        began = time.monotonic()
        random = Random(f"{self.options.seed}/{number}")  # noqa: S311 - it has to be reproducible
        faults = draw(random, list(self.processes))
        players = [f"{name}-{number}" for name in PLAYERS]
        clients = self._clients(number, players, random)
        readers = [Reader(region, process.cache_socket, players) for region, process in self.processes.items()]
        facts = Facts(History(SCHEMA))
        settled_s = None
        try:
            for thread in [*readers, *clients]:
                thread.start()
            self._strike(faults, clients)
            _finish(clients, facts)
            settled_s = self._settle(facts)
        finally:
            for client in clients:
                client.abandon()
            for reader in readers:
                reader.stop()
            for client in clients:
                client.join()
        before_reckoning(self)
        history = facts.history
        history.sent = [Sent(client.region, update) for client in clients for update in client.acknowledged]
        history.reads = [read for reader in readers for read in reader.reads]
        facts.trouble += [trouble for client in clients for trouble in client.trouble]
        facts.trouble += self._unbidden()
        self._look(facts, players)
        self._remember(facts)
        return RoundReport(
            number,
            [str(fault) for fault in faults],
            len(history.sent),
            sum(outcome == APPLIED for outcome in next(iter(facts.outcomes.values()), {}).values()),
            sum(client.unknown for client in clients),
            sum(client.refused for client in clients),
            len(history.reads),
            settled_s,
            round(time.monotonic() - began, 2),
            violations(facts),
        )

    def look_back(self) -> list[str]:
        """What is wrong with the players of all rounds now."""
        facts = self._past
        for region, found in look_at_all(self.processes, _players(facts), []).items():
            facts.history.finals[region] = found.finals
            facts.history.committed += found.recorded
            facts.dead_letters[region] = found.dead_letters
        return violations(facts)

    def _clients(self, number: int, players: list[str], random: Random) -> list[Client]:
        clients: list[Client] = []
        for region, process in self.processes.items():
            for _ in range(CLIENTS_PER_REGION):
                place = len(clients)
                own = Random(random.random())  # noqa: S311 - it has to be reproducible
                server = GameServer(f"{region}.{place}.{number}", players, players[place : place + 1], own)
                clients.append(Client(region, process.folder, server.call, own))
        return clients

    def _strike(self, faults: list[Fault], clients: list[Client]) -> None:
        inflictor = Inflictor(self.deployment, self.processes, clients)
        time.sleep(QUIET_S)
        inflictor.run(faults)
        inflictor.heal()
        time.sleep(QUIET_S)

    def _settle(self, facts: Facts) -> float | None:
        began = time.monotonic()
        nodes = {region: process.connect() for region, process in self.processes.items()}
        try:
            if settle(self.deployment, nodes, timeout_s=SETTLED_WITHIN_S):
                return round(time.monotonic() - began, 2)
            facts.history.at_rest = False
            facts.trouble += lagging(nodes)
            return None
        finally:
            for node in nodes.values():
                node.close()

    def _look(self, facts: Facts, players: list[str]) -> None:
        asked = [sent.update.identity for sent in facts.history.sent]
        for region, found in look_at_all(self.processes, players, asked).items():
            facts.history.finals[region] = found.finals
            facts.history.committed += found.recorded
            facts.dead_letters[region] = found.dead_letters
            facts.outcomes[region] = found.outcomes
            facts.trouble += [f"verification of {region} found {one}" for one in found.findings if not _came_late(one)]

    def _unbidden(self) -> list[str]:
        told = []
        for process in self.processes.values():
            codes, process.unbidden = process.unbidden, []
            told += [f"the node of {process.region} ended by itself, with exit code {code}" for code in codes]
        return told

    def _remember(self, facts: Facts) -> None:
        self._past.history.sent += facts.history.sent
        for region, outcomes in facts.outcomes.items():
            self._past.outcomes.setdefault(region, {}).update(outcomes)


def run_trials(
    folder: Path,
    options: TrialOptions,
    *,
    see: Callable[[RoundReport], None] = lambda _: None,
    before_reckoning: Callable[[Trials], None] = lambda _: None,
) -> TrialReport:
    """Run rounds in an empty folder, until all are done, something is wrong, or an interrupt comes.

    `see` is told of every round; `before_reckoning` is for tests, which plant what must be found.
    """
    report = TrialReport(options.seed, options.regions)
    began = time.monotonic()
    with closing(Trials(folder, options)) as trials:
        try:
            trials.start()
            for number in range(1, options.rounds + 1):
                done = trials.round(number, before_reckoning)
                report.rounds.append(done)
                see(done)
                if done.violations:
                    report.violations += [f"round {number}: {what}" for what in done.violations]
                    break
            else:
                report.violations += [f"looking back: {what}" for what in trials.look_back()]
        except KeyboardInterrupt:
            report.interrupted = True
        except StartRefused:
            raise
        except PlayerStateError as exc:
            report.violations.append(f"round {len(report.rounds) + 1} could not be finished: {exc}")
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _finish(clients: list[Client], facts: Facts) -> None:
    """Wait until the clients have nothing left that is in doubt."""
    for client in clients:
        client.stop()
    deadline = time.monotonic() + ACKNOWLEDGED_WITHIN_S
    for client in clients:
        client.join(max(0.0, deadline - time.monotonic()))
        if client.is_alive():
            facts.trouble.append(f"{client.region} acknowledges no call within {ACKNOWLEDGED_WITHIN_S:.0f} s")


def _came_late(finding: Finding) -> bool:
    """Whether it may be what a worker that was taken for dead has written to a cache that had lost what was newer."""
    return (finding.place, finding.kind, finding.repair) == (CACHE, Kind.STALE, Repair.REPAIRED)


def _players(facts: Facts) -> list[str]:
    return sorted({op.player_id for sent in facts.history.sent for op in sent.update.ops})
