"""Zips whose bytes follow from what is in them: no times, owners or orders of this machine."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name."""

UNIX = 3
READABLE_BY_ALL = 0o100644 << 16
LEVEL = 9


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip that was written: its sizes, and its hash; `sha256_base64` is what Lambda calls `CodeSha256`."""

    path: Path
    files: int
    bytes: int
    unpacked_bytes: int
    sha256: str
    sha256_base64: str


def write_archive(path: Path, contents: Mapping[str, bytes]) -> Archive:
    """Write a zip of these files, by their names in it; it is there whole or not at all.

    The same contents give the same bytes with the same zlib.
    """
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name in sorted(contents):
            entry = ZipInfo(name, EPOCH)
            entry.create_system = UNIX
            entry.external_attr = READABLE_BY_ALL
            entry.compress_type = ZIP_DEFLATED
            archive.writestr(entry, contents[name])
    packed = buffer.getvalue()
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(packed)
    part.replace(path)
    digest = hashlib.sha256(packed).digest()
    return Archive(
        path,
        len(contents),
        len(packed),
        sum(map(len, contents.values())),
        digest.hex(),
        base64.b64encode(digest).decode("ascii"),
    )
