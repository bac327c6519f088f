"""The bill of what is built here: a write a key and batch, many notices a message, batches of transitions, no NAT.

Every region is a whole deployment. An update is applied in one of them; its row is replicated to the others, and each
of them shows it, tells its consumer groups and checks it.
"""

from __future__ import annotations

from playerstate.cost.bill import Bill
from playerstate.cost.keeping import store, stream
from playerstate.cost.load import Assumptions, Capacity, Load
from playerstate.cost.prices import Prices
from playerstate.cost.quantities import Quantities
from playerstate.cost.running import checks, functions, surroundings
from playerstate.cost.telling import cache_and_graph, history, notices


def system_bill(load: Load, prices: Prices, given: Assumptions | None = None, capacity: Capacity = "cheaper") -> Bill:
    """A month of all regions."""
    q = Quantities(load, prices, given or Assumptions())
    parts = (notices, cache_and_graph, history, functions, checks, surroundings)
    return Bill((*stream(q, capacity), *store(q), *(line for part in parts for line in part(q))))
