"""What changes which dead letters there are, in the control table.

A change is worked out on what is there, and written in one transaction with an item of counts, on the condition that
its revision is still the one that was read first: so nobody else has changed anything meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from playerstate.backends.aws.control import GONE, LETTER, LETTERS, Action, Control, Item, Name
from playerstate.backends.aws.letter_bodies import BODY_BYTES_MAX
from playerstate.backends.aws.letter_items import (
    ENDING_ITEMS_MAX,
    LETTER_ITEMS_MAX,
    forgotten_name,
    letter_items,
    letter_names,
    number_text,
    record_items,
    record_names,
    record_of,
)
from playerstate.backends.aws.transactions import ACTIONS_MAX
from playerstate.core.letters import Ending, GoneLetter
from playerstate.core.model import DeadLetter
from playerstate.core.producers import OWN_PRODUCER_PREFIX
from playerstate.errors import NotNow, OutcomeUnknown, SlowDown

PUT_BYTES_MAX = 3 * 1024 * 1024
"""Of letters in a transaction, which takes 4 MB of items."""

ROUNDS_MAX = 12

STAGE_COUNT = "stage-"
"""What the names of the counts by stage begin with."""

_PUT_MAX, _END_MAX = (ACTIONS_MAX - 1) // LETTER_ITEMS_MAX, (ACTIONS_MAX - 1) // ENDING_ITEMS_MAX
_COUNTS = Name(LETTERS, "counts")

T = TypeVar("T")


class LetterChanges:
    """Puts, ends and forgets letters. What does not go into one transaction is done in parts, each whole by itself.

    Then `OutcomeUnknown` says that some parts are done and others are not; doing it again does the rest.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    def put(self, letters: Sequence[DeadLetter]) -> int:
        """Keep those of the letters that are not there; how many."""
        found: dict[str, DeadLetter] = {}
        for letter in letters:  # all of them before anything is kept: the source may fail
            found.setdefault(letter.letter_id, letter)

        def put_new(part: Sequence[DeadLetter], counts: Item, actions: list[Action]) -> int:
            known = self._control.get(*[Name(LETTER, letter.letter_id) for letter in part])
            new = [letter for letter in part if Name(LETTER, letter.letter_id) not in known]
            for letter in new:
                counts["put"] += 1
                _count(counts, letter.stage, 1)
                actions += [self._control.putting(item) for item in letter_items(letter, counts["put"])]
            return len(new)

        return self._in_parts(_small_enough(found.values()), put_new)

    def replace(self, letter: DeadLetter) -> bool:
        """Keep what has changed of a letter; False if it is not there."""

        def replace_it(_: Item, actions: list[Action]) -> bool:
            heads = self.heads([letter.letter_id])
            if heads:
                head, body = letter_items(letter, heads[0]["number"])[:2]
                head["fingerprint"] = heads[0]["fingerprint"]  # the letter may have been cut when it was put
                actions += [self._control.putting(head), self._control.putting(body)]
            return bool(heads)

        return self._change(replace_it)

    def end(self, letter_ids: Sequence[str], ending: Ending) -> int:
        """Have letters go, as far as they are there, and keep the records of them; how many."""

        def end_them(part: Sequence[str], counts: Item, actions: list[Action]) -> int:
            heads = self.heads(part)
            for head in heads:
                counts["gone"] += 1
                counts["records"] += 1
                _count(counts, head["stage"], -1)
                actions += [self._control.deleting(name) for name in letter_names(head)]
                actions += [self._control.putting(item) for item in record_items(head, counts, ending)]
            return len(heads)

        return self._in_parts(_parts(letter_ids, _END_MAX), end_them)

    def forget(self, numbers: Sequence[int]) -> int:
        """Delete records; how many.

        Accept's own producers leave no gaps, so of those it is kept how far their dead went.
        """

        def forget_them(part: Sequence[int], counts: Item, actions: list[Action]) -> int:
            records = self.records(part)
            counts["records"] -= len(records)
            upto: dict[Name, int] = {}
            for identity in [gone.identity for gone in records if gone.identity]:
                if identity.producer.startswith(OWN_PRODUCER_PREFIX):
                    name = forgotten_name(identity.producer)
                    upto[name] = max(upto.get(name, 0), identity.sequence)
            known = self._control.get(*upto) if upto else {}
            for name, sequence in upto.items():
                sequence = max(sequence, known.get(name, {}).get("sequence", 0))  # noqa: PLW2901
                actions.append(self._control.putting({**name._asdict(), "sequence": sequence}))
            actions += [self._control.deleting(name) for gone in records for name in record_names(gone)]
            return len(records)

        return self._in_parts(_parts(numbers, _PUT_MAX), forget_them)

    def heads(self, letter_ids: Sequence[str]) -> list[Item]:
        """The heads of those of the letters that are there."""
        names = [Name(LETTER, letter_id) for letter_id in letter_ids]
        found = self._control.get(*names) if names else {}
        return [found[name] for name in names if name in found]

    def records(self, numbers: Sequence[int]) -> list[GoneLetter]:
        """Those of the records that are there."""
        names = [Name(GONE, number_text(number)) for number in numbers]
        found = self._control.get(*names) if names else {}
        return [record_of(found[name]) for name in names if name in found]

    def counts(self) -> Item:
        """How many letters were `put`, are there (`letters`, and by stage), have `gone`, and have `records` left."""
        nothing = {**_COUNTS._asdict(), "revision": 0, "put": 0, "letters": 0, "gone": 0, "records": 0}
        return self._control.get(_COUNTS).get(_COUNTS, nothing)

    def _change(self, change: Callable[[Item, list[Action]], T]) -> T:
        """Carry out the actions that `change` lists, and what it makes of the counts, unless anything has changed."""
        for tries in range(ROUNDS_MAX):
            if tries:
                self._control.clients.pause(tries)
            counts, actions = self.counts(), list[Action]()
            result = change(counts, actions)
            if not actions:
                return result
            counts["revision"] += 1
            if self._control.transact([*actions, self._control.putting_next(counts, "revision")]):
                return result
        raise SlowDown("dead letters keep changing under the writes")

    def _in_parts(self, parts: Iterable[Sequence[T]], change: Callable[[Sequence[T], Item, list[Action]], int]) -> int:
        done = 0
        for n, part in enumerate(parts):
            try:
                done += self._change(lambda counts, actions, part=part: change(part, counts, actions))  # type: ignore[misc]
            except NotNow as exc:
                if n:
                    raise OutcomeUnknown(f"a part was written: {exc}") from exc
                raise
        return done


def _count(counts: Item, stage: str, more: int) -> None:
    counts["letters"] += more
    counts[STAGE_COUNT + stage] = counts.get(STAGE_COUNT + stage, 0) + more


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[n : n + size] for n in range(0, len(items), size))


def _small_enough(letters: Iterable[DeadLetter]) -> Iterator[Sequence[DeadLetter]]:
    """Letters in parts, each of which goes into a transaction. The rest of a letter is at most as large."""
    part: list[DeadLetter] = []
    size = 0
    for letter in letters:
        more = 2 * min(len(letter.body), BODY_BYTES_MAX)
        if part and (len(part) == _PUT_MAX or size + more > PUT_BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(letter)
        size += more
    if part:
        yield part
