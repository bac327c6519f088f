"""Says at the end of the run on how many schedules each law was tried."""

from __future__ import annotations

import sys
from typing import Any

import pytest

# the laws are imported by the tests, and would otherwise fail with a bare "AssertionError"
pytest.register_assert_rewrite("core.laws", "core.worlds")


COUNTED = "laws of the data types"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that runs some of the tests hands on what it has counted."""
    if "core.laws" in sys.modules and hasattr(session.config, "workeroutput"):
        from core.laws import EXAMPLES, STEPS

        session.config.workeroutput[COUNTED] = [[[*law, n] for law, n in EXAMPLES.items()], dict(STEPS)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what such a process has counted."""
    from core.laws import EXAMPLES, STEPS

    examples, steps = getattr(node, "workeroutput", {}).get(COUNTED, ([], {}))
    EXAMPLES.update({(name, law): n for name, law, n in examples})
    STEPS.update(steps)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from core.laws import EXAMPLES, STEPS

    if not EXAMPLES:
        return
    terminalreporter.section(COUNTED)
    for type_name in sorted({name for name, _ in EXAMPLES}):
        laws = {law: n for (name, law), n in sorted(EXAMPLES.items()) if name == type_name}
        counts = ", ".join(f"{law} {n}" for law, n in laws.items())
        terminalreporter.write_line(f"{type_name}: {sum(laws.values())} schedules, {STEPS[type_name]} steps ({counts})")
