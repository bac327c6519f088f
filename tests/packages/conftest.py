"""Packages that are built once for all tests, for Lambda and for this machine."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import playerstate
from playerstate.folder import starter_schema
from playerstate.packaging.build import build

LOCK = Path(playerstate.__file__).parent / "packaging" / "lambda.lock"


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of pytest's processes fills while the others wait."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            part = shared / f"{name}.part"
            part.mkdir(exist_ok=True)
            make(part)
            part.rename(folder)
    return folder


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A package registry that pip reaches, or the test is skipped: a wheel of the lock is fetched from it."""
    folder = tmp_path_factory.mktemp("probe")
    lines = LOCK.read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("six=="))
    end = next((n for n in range(start + 1, len(lines)) if "==" in lines[n]), len(lines))
    (folder / "six.lock").write_text("\n".join(lines[start:end]), "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--retries", "0", "--no-deps", "--require-hashes"]
    ran = subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(folder / "six.lock")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if ran.returncode:
        pytest.skip(f"pip reaches no package registry: {ran.stderr.strip()[-200:]}")


@pytest.fixture(scope="session")
def schema_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game's schema."""
    path = tmp_path_factory.mktemp("schema") / "mine.toml"
    path.write_text(starter_schema(), "utf-8")
    return path


@pytest.fixture(scope="session")
def told(registry: None, schema_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `playerstate aws package` says of the package that it has made for Lambda."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "playerstate.cli.main", "aws", "package", str(folder), "--json"]
        ran = subprocess.run(
            [*command, "--schema", str(schema_file)], capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stderr
        (folder / "told.json").write_text(ran.stdout, "utf-8")

    folder = once(tmp_path_factory, "lambda-package", make)
    told = json.loads((folder / "told.json").read_text("utf-8"))
    return {**told, "path": folder / Path(told["path"]).name}


@pytest.fixture(scope="session")
def unpacked(registry: None, schema_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a package that was made by the same recipe, for this machine and its Python."""

    def make(folder: Path) -> None:
        made = build(folder, schema_file.read_text("utf-8"), target=None)
        with ZipFile(made.path) as archive:
            archive.extractall(folder / "unpacked")

    return once(tmp_path_factory, "native-package", make) / "unpacked"
