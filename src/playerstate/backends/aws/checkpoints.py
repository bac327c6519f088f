"""How far consumers of ordered sources have come, in the control table."""

from __future__ import annotations

from playerstate.backends.aws.control import CHECKPOINT, Control, Name


class DynamoCheckpoints:
    """`Checkpoints`, an item each. Of two who save at the same time for one consumer, the last one counts."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def load(self, consumer: str) -> int:
        """The position saved last."""
        name = Name(CHECKPOINT, consumer)
        found = self._control.get(name)
        return int(found[name]["position"]) if found else 0

    def save(self, consumer: str, position: int) -> None:
        """Save a position."""
        self._control.put({**Name(CHECKPOINT, consumer)._asdict(), "position": position})
