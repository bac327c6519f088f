"""How much there is of everything in a month, and the words for it that stand in formulas."""

from __future__ import annotations

import math

from playerstate.cost.bill import KB, Line, big, calls
from playerstate.cost.load import Assumptions, Load, Worker
from playerstate.cost.prices import Prices

READ_UNIT_BYTES = 4 * KB
CHUNK_BYTES = 64 * KB


class Quantities:
    """What follows from traffic and assumptions, for all regions together.

    `shown` counts the rows that regions have written or received: each of them shows, tells and checks them.
    """

    def __init__(self, load: Load, prices: Prices, given: Assumptions) -> None:
        self.load, self.prices, self.given = load, prices, given
        self.regions = load.regions
        self.times = "" if load.regions == 1 else f"{load.regions} regions x "
        self.rows_told = f"{big(load.updates)} updates, {load.coalescing:g} to a row"
        self.shown = load.rows * load.regions
        self.shown_told = f"{self.times}{big(load.rows)} rows"
        self.write_units = math.ceil(load.item_bytes / KB)
        self.read_units = math.ceil(load.item_bytes / READ_UNIT_BYTES)
        self.notices_a_message = min(given.notice_batch_max, max(1, given.notice_bytes_max // load.item_bytes))
        self.messages = self.shown / self.notices_a_message
        self.chunks_a_message = math.ceil(self.notices_a_message * load.item_bytes / CHUNK_BYTES)

    @property
    def work(self) -> list[tuple[str, float, Worker, str]]:
        """The functions of the flow: name, inputs a month, what a call takes, and what the inputs are."""
        load, given = self.load, self.given
        edges_told = f"{self.shown_told} x {given.edge_share:.0%} that make edges"
        return [
            ("apply", load.updates, given.apply_at(load.coalescing), f"{big(load.updates)} updates"),
            ("project", self.shown, given.project, self.shown_told),
            ("audit", self.shown, given.audit, self.shown_told),
            ("recheck", self.shown, given.recheck, self.shown_told),
            ("link", self.shown * given.edge_share, given.link, edges_told),
        ]

    def called(self, what: str, inputs: float, worker: Worker, told: str) -> Line:
        """The line of a function."""
        prices = self.prices.lambda_
        n = inputs / worker.batch
        formula = f"{told} by {worker.batch}"
        return calls(what, n, worker.call_gb_s, prices.calls_million, prices.arm_gb_s, formula)
