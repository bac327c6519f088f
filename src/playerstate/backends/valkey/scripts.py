"""The Lua scripts, which lie in `lua/`. Each is sent with `views.lua` before it, which they all stand on."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script, and the name (SHA-1) under which a server keeps it."""

    source: str
    sha: str


def load_script(name: str) -> Script:
    """The script of a name such as `put`."""
    folder = files("playerstate.backends.valkey") / "lua"
    source = "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in ("views", name))
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


PUT = load_script("put")
REPLACE = load_script("replace")
BEGIN_FILL = load_script("begin_fill")
FILL = load_script("fill")
REPAIR = load_script("repair")
VERSIONS = load_script("versions")
