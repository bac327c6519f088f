"""Export: everything that a region holds about a player, gathered from its parts."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from playerstate.core.export import Export, ExportedKey, exported_row
from playerstate.core.findings import Finding
from playerstate.core.images import Images
from playerstate.core.letters import GoneLetter, LetterFilter
from playerstate.core.model import DeadLetter, Delivery, Transition
from playerstate.core.schema import Schema
from playerstate.errors import InvariantViolated
from playerstate.ports.audit import Audit
from playerstate.ports.dead_letters import DeadLetters
from playerstate.ports.findings import Findings
from playerstate.ports.graph import Graph
from playerstate.ports.store import Store
from playerstate.stages.history import History

TRANSITIONS_MAX = 1_000
TRANSITION_BYTES_MAX = 16 * 1024 * 1024
LETTERS_MAX = 100
FINDINGS_MAX = 100
PAGE = 50

log = structlog.get_logger(__name__)


class Exporter:
    """Reads the parts of one region; it changes nothing, and stops nothing."""

    def __init__(
        self,
        schema: Schema,
        store: Store,
        audit: Audit,
        dead_letters: DeadLetters,
        graph: Graph,
        findings: Findings,
    ) -> None:
        self._schema = schema
        self._store = store
        self._history = History(audit)
        self._dead_letters = dead_letters
        self._graph = graph
        self._findings = findings
        self._images = Images(schema, kept_max=0)

    def export(self, player_id: str, region: str, now: int) -> Export:
        """All of it but what is beyond the bounds of one answer, which says then where to go on."""
        history, deliveries, history_before = self._history_of(player_id)
        letters, letters_after = self._letters(player_id)
        gone_letters, gone_letters_after = self._gone_letters(player_id)
        keys, unknown = self._keys(player_id)
        labels = sorted({edge.label for edge in self._schema.edge_keys().values()})
        return Export(
            player_id,
            region,
            now,
            keys,
            history,
            letters,
            {label: sorted(self._graph.targets([player_id], label).get(player_id, ())) for label in labels},
            {label: sorted(self._graph.sources([player_id], label).get(player_id, ())) for label in labels},
            history_before,
            letters_after,
            unknown,
            deliveries,
            gone_letters,
            gone_letters_after,
            *self._found(player_id),
        )

    def _keys(self, player_id: str) -> tuple[dict[str, ExportedKey], list[str]]:
        exported: dict[str, ExportedKey] = {}
        unknown: list[str] = []
        for key, stored in self._store.load_player(player_id).items():
            if key.state_key not in self._schema.keys:
                unknown.append(key.state_key)  # of a region that has a newer schema
                continue
            images = {region: self._images.read(key.state_key, body) for region, body in sorted(stored.items())}
            rows = {region: exported_row(image.row) for region, image in images.items()}
            exported[key.state_key] = ExportedKey(self._images.view(key, images.values()), rows)
        return exported, sorted(unknown)

    def _history_of(self, player_id: str) -> tuple[list[Transition], list[Delivery], int | None]:
        found: list[Transition] = []
        came: list[Delivery] = []
        before, size = None, 0
        while len(found) + len(came) < TRANSITIONS_MAX and size < TRANSITION_BYTES_MAX:
            page = self._history.page(player_id, before=before, limit=PAGE, everywhere=False)
            found += page.transitions
            came += page.deliveries
            if page.before is None:
                return found, came, None
            before, size = page.before, size + _bytes(page.transitions)
        return found, came, before

    def _letters(self, player_id: str) -> tuple[list[DeadLetter], str | None]:
        found = self._dead_letters.list(limit=LETTERS_MAX, where=LetterFilter(player_id=player_id))
        return found, found[-1].letter_id if len(found) == LETTERS_MAX else None

    def _gone_letters(self, player_id: str) -> tuple[list[GoneLetter], int | None]:
        found = list(self._dead_letters.gone(limit=LETTERS_MAX, where=LetterFilter(player_id=player_id)))
        return found, found[-1].number if len(found) == LETTERS_MAX else None

    def _found(self, player_id: str) -> tuple[list[Finding], str | None]:
        try:
            found = self._findings.list(player_id, limit=FINDINGS_MAX)
        except InvariantViolated as exc:  # the file is damaged, and the next start sets it aside
            log.warning("an export is without findings", error=str(exc))
            return [], None
        return found, found[-1].finding_id if len(found) == FINDINGS_MAX else None


def _bytes(transitions: Sequence[Transition]) -> int:
    return sum([len(transition.before) + len(transition.after) for transition in transitions])
