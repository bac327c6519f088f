"""Prepared loads: every text is a new update that accept would take, of about the size that is announced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from playerstate.core.check import Checker
from playerstate.core.model import Identity
from playerstate.core.schema import parse_schema
from playerstate.core.wire import decode_json_update
from playerstate.folder import starter_schema
from playerstate.workload.prepared import POOL_SIZE, UPDATE_BYTES_MEAN, Prepared, distinct, life_like

LAPS = 3


@pytest.fixture(scope="module", params=[life_like, distinct])
def texts(request: pytest.FixtureRequest) -> list[bytes]:
    make: Callable[[int], Prepared] = request.param
    return make(1).take(LAPS * POOL_SIZE)


def test_every_update_is_new_and_valid(texts: list[bytes]) -> None:
    """Lap after lap: a sequence goes on where it was, and no identity comes twice."""
    checker = Checker(parse_schema(starter_schema()))
    lines: defaultdict[object, list[int]] = defaultdict(list)
    for text in texts:
        update = decode_json_update(text)
        checker.check(update)
        assert update.sent_at > 0
        lines[Identity(update.producer, 0, *update.first_key)].append(update.sequence)
    assert all(line == list(range(1, len(line) + 1)) for line in lines.values())


def test_the_mean_size_is_as_announced(texts: list[bytes]) -> None:
    """About 1 KB in the mean, whatever the mix."""
    mean = sum(map(len, texts)) / len(texts)
    assert mean == pytest.approx(UPDATE_BYTES_MEAN, rel=0.1)


def test_distinct_keys_are_distinct() -> None:
    """No key comes twice, in whatever lap."""
    keys = [decode_json_update(text).first_key for text in distinct(1).take(LAPS * POOL_SIZE)]
    assert len(set(keys)) == len(keys)
