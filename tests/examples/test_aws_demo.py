"""The demonstration of AWS: everything from Kinesis to the graph and back, on an emulator, comes to what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ministack import skip_without_ministack

DEMO = Path(__file__).parents[2] / "examples" / "aws_demo"
SAMPLE_DATA = os.environ.get("PLAYERSTATE_SAMPLE_DATA", "")


def run(*arguments: str, samples: str = "") -> str:
    skip_without_ministack()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PLAYERSTATE_"))}
    if samples:
        environment["PLAYERSTATE_SAMPLE_DATA"] = samples
    command = [sys.executable, str(DEMO), *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, timeout=180, check=False, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_generated_load() -> None:
    """A life-like load, with repeats, agrees with plain Python in the table, the cache, the graph and the history."""
    said = run("--seconds", "2")
    assert "All agree" in said
    assert "EdgesSynced" in said


@pytest.mark.sample_data
@pytest.mark.skipif(not SAMPLE_DATA, reason="PLAYERSTATE_SAMPLE_DATA names no recorded journals")
def test_the_cleanest_journal() -> None:
    """The final state is that of the embedded node: both agree with the plain replay, value by value."""
    said = run(samples=SAMPLE_DATA)
    assert "3,498 events" in said
    assert "'applied': 3106, 'refused:insufficient': 1" in said
    assert "All agree" in said
