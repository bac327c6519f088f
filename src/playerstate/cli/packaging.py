"""A Lambda package is made, and told of."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from playerstate.cli import console
from playerstate.folder import read_schema_file
from playerstate.packaging.build import build, handler_modules
from playerstate.packaging.fetching import ARM64

MB = 1_000_000


def make_package(folder: Path, schema: Path, *, as_json: bool) -> None:
    """Build it, and say how large it is and what its hash is."""
    made = build(folder, read_schema_file(schema))
    names = [module.rpartition(".")[2] for module in handler_modules()]
    if as_json:
        runtime = {"runtime": f"python{ARM64.python}", "architecture": "arm64"}
        console.document({**asdict(made), "path": str(made.path), **runtime, "handlers": names})
        return
    console.table(
        ["package", str(made.path)],
        [
            ["size", f"{made.bytes / MB:.1f} MB, {made.unpacked_bytes / MB:.1f} MB unpacked, {made.files:,} files"],
            ["SHA-256", made.sha256],
            ["SHA-256, base64", made.sha256_base64],
            ["runtime", f"python{ARM64.python}, arm64"],
            ["handlers", ", ".join(f"playerstate.lambdas.{name}.handler" for name in names)],
        ],
    )
