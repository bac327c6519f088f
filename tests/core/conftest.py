"""Says at the end of the run on how many schedules each law was tried."""

from __future__ import annotations

import pytest

# the laws are imported by the tests, and would otherwise fail with a bare "AssertionError"
pytest.register_assert_rewrite("core.laws", "core.worlds")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from core.laws import EXAMPLES, STEPS

    if not EXAMPLES:
        return
    terminalreporter.section("laws of the data types")
    for type_name in sorted({name for name, _ in EXAMPLES}):
        laws = {law: n for (name, law), n in sorted(EXAMPLES.items()) if name == type_name}
        counts = ", ".join(f"{law} {n}" for law, n in laws.items())
        terminalreporter.write_line(f"{type_name}: {sum(laws.values())} schedules, {STEPS[type_name]} steps ({counts})")
