"""Locked distributions, fetched by pip for another machine than this one: wheels alone, each held to its hash."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from playerstate.errors import PackagingFailed

TIMEOUT_S = 300
TOLD_LENGTH_MAX = 600


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that the wheels are for: its platforms as wheels name them, and its Python."""

    platforms: tuple[str, ...]
    python: str
    abi: str

    @property
    def options(self) -> list[str]:
        """What pip is told of it."""
        platforms = [f"--platform={platform}" for platform in self.platforms]
        return [*platforms, f"--python-version={self.python}", "--implementation=cp", f"--abi={self.abi}"]


ARM64 = Target(("manylinux2014_aarch64", "manylinux_2_28_aarch64"), "3.13", "cp313")
"""Lambda's runtime `python3.13` on `arm64`."""


def fetch(lock: Path, folder: Path, target: Target | None) -> None:
    """Install what is locked into an empty folder; without a target, for this machine. Raises `PackagingFailed`."""
    if importlib.util.find_spec("pip") is None:
        raise PackagingFailed(f"Packages need pip, which {sys.executable} does not have: python -m ensurepip")
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--target", str(folder), "--no-compile", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *(target.options if target else []),
        *("--requirement", str(lock)),
    ]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise PackagingFailed(f"pip could not fetch what is locked within {TIMEOUT_S} s") from exc
    if ran.returncode:
        told = " ".join(line.strip() for line in ran.stderr.splitlines() if not line.startswith("WARNING"))
        raise PackagingFailed(f"pip could not fetch what is locked: {told[:TOLD_LENGTH_MAX]}")
