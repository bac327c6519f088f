"""What would come of an update as things stand: judged on copies that nobody keeps, as apply would."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from playerstate.core.amendment import Change
from playerstate.core.judgement import judge
from playerstate.core.model import Key, Outcome, Update
from playerstate.core.replica import Replica
from playerstate.core.views import value_json

NEW_PRODUCER = "?"


def rehearse(update: Update, replicas: Mapping[Key, Replica], now: int) -> tuple[list[Change], Outcome]:
    """What each key of a checked update would change to, and the outcome; of one without an identity, as the first of
    a new producer. The replicas are used up.
    """
    if not update.producer:
        update = msgspec.structs.replace(update, producer=NEW_PRODUCER, sequence=1)
    keys = list(dict.fromkeys([op.key for op in update.ops]))
    before = {key: (replicas[key].version, _value(replicas[key])) for key in keys}
    outcome = judge(update, now, [replicas[op.key] for op in update.ops])
    return [Change(*key, *before[key], _value(replicas[key])) for key in keys], outcome


def _value(replica: Replica) -> msgspec.Raw:
    return msgspec.Raw(value_json(replica.state, replica.spec))
