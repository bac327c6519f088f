"""What modules import, by their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from playerstate.packaging.closure import closure, handlers

SOURCES = {
    "game/__init__.py": "import typing\ndef late():\n    from game import everything\n",
    "game/everything.py": "import antigravity\n",
    "game/core/__init__.py": "from game.core.names import NAME\n",
    "game/core/names.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import game.types_only\n",
    "game/types_only.py": "",
    "game/late.py": "import json.decoder\n",
    "game/lambdas/__init__.py": "",
    "game/lambdas/apply.py": (
        "from game.core import NAME, model\n"
        "def handler(event, context):\n"
        "    try:\n        import game.late\n    except ImportError:\n        raise\n"
    ),
    "game/lambdas/link.py": "import botocore.session as s\nhandler: object = made(s)\n",
    "game/lambdas/shared.py": "def helper(): ...\n",
    "game/core/model.py": "",
    "game/unused.py": "",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def test_handlers_are_found(source: Path) -> None:
    """Functions and whatever else is called so; modules without one are none."""
    assert handlers(source, "game.lambdas") == ["game.lambdas.apply", "game.lambdas.link"]


def test_what_is_imported(source: Path) -> None:
    """Packages that modules lie in, modules that are imported as names, and late imports; nothing for types alone."""
    own, foreign = closure(source, ["game.lambdas.apply"], "game")
    inner = {"game.core", "game.core.names", "game.core.model", "game.late"}
    assert own == {"game", "game.lambdas", "game.lambdas.apply"} | inner
    assert foreign == {"typing", "json"}


def test_what_is_left_out(source: Path) -> None:
    """A package that shall not be there, and what it alone imports."""
    own, foreign = closure(source, ["game.lambdas.apply"], "game", without=("game.late", "game.core"))
    assert own == {"game", "game.lambdas", "game.lambdas.apply"}
    assert foreign == {"typing"}


def test_what_comes_from_elsewhere(source: Path) -> None:
    """By its top-level name; what the root package imports late is for others."""
    own, foreign = closure(source, ["game.lambdas.link"], "game")
    assert own == {"game", "game.lambdas", "game.lambdas.link"}
    assert foreign == {"typing", "botocore"}
