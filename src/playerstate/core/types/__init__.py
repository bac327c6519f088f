"""The data types, one file each. `contract` states what they promise, `shapes` how they join."""

from typing import Any

from playerstate.core.schema import TypeName
from playerstate.core.types.bounded_counter import BoundedCounter
from playerstate.core.types.contract import At, DataType, Escrowed, Refused
from playerstate.core.types.counter import Counter
from playerstate.core.types.flag import Flag
from playerstate.core.types.inventory import Inventory
from playerstate.core.types.map import Map
from playerstate.core.types.max_register import MaxRegister
from playerstate.core.types.min_register import MinRegister
from playerstate.core.types.multi_register import MultiRegister
from playerstate.core.types.register import Register
from playerstate.core.types.set import Set

__all__ = ["DATA_TYPES", "At", "DataType", "Escrowed", "Refused"]

DATA_TYPES: dict[TypeName, DataType[Any]] = {
    "counter": Counter(),
    "bounded_counter": BoundedCounter(),
    "register": Register(),
    "multi_register": MultiRegister(),
    "max_register": MaxRegister(),
    "min_register": MinRegister(),
    "flag": Flag(),
    "set": Set(),
    "map": Map(),
    "inventory": Inventory(),
}
"""Every data type by the name that a schema gives it."""
