"""A package: the handlers with all that they import, what is locked, and the game's schema."""

from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path

from playerstate.core.schema import parse_schema
from playerstate.errors import PackagingFailed
from playerstate.packaging.archive import Archive, write_archive
from playerstate.packaging.closure import closure, handlers, module_file
from playerstate.packaging.fetching import ARM64, Target, fetch
from playerstate.packaging.pruning import is_wanted

ROOT = "playerstate"
HANDLERS = "playerstate.lambdas"
FOR_TRIALS = ("playerstate.backends.ladybug", "playerstate.backends.sqlite")
"""What the functions can be wired to on a machine of one's own, and never under Lambda."""
ARCHIVE = "playerstate-lambda.zip"
SCHEMA = "game.toml"
UNPACKED_BYTES_MAX = 250 * 2**20
"""What Lambda takes."""


def build(folder: Path, schema_text: str, target: Target | None = ARM64) -> Archive:
    """Make the package in a folder, which is made if it is not there; without a target, for this machine.

    Raises `SchemaRefused` if the schema is wrong, and `PackagingFailed` if what is locked cannot be fetched.
    """
    parse_schema(schema_text)
    contents = {**own_files(), **locked_files(target), SCHEMA: schema_text.encode("utf-8")}
    size = sum(map(len, contents.values()))
    if size > UNPACKED_BYTES_MAX:
        raise PackagingFailed(f"The package would be {size:,} bytes unpacked; Lambda takes {UNPACKED_BYTES_MAX:,}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return write_archive(folder / ARCHIVE, contents)
    except OSError as exc:
        raise PackagingFailed(f"The package cannot be written: {exc}") from exc


def handler_modules() -> list[str]:
    """The modules with a handler."""
    return handlers(_source(), HANDLERS)


def foreign_names() -> set[str]:
    """The top-level names that the handlers import from elsewhere: the standard library, or what is locked."""
    return _closure()[1]


def own_modules() -> set[str]:
    """The modules that the handlers need, themselves included."""
    return _closure()[0]


def own_files() -> dict[str, bytes]:
    """The sources that the handlers need, and the files beside them, such as scripts, by their names in the package."""
    source = _source()
    files = [file for module in own_modules() if (file := module_file(source, module)) is not None]
    packages = {file.parent for file in files if file.name == "__init__.py"}
    beside = [file for package in packages for file in _data_files(package)]
    return {str(file.relative_to(source)): file.read_bytes() for file in (*files, *beside)}


def locked_files(target: Target | None) -> dict[str, bytes]:
    """What is wanted of the locked distributions, by names in the package. Raises `PackagingFailed`."""
    with tempfile.TemporaryDirectory(prefix="playerstate-package-") as made:
        folder = Path(made)
        lock = resources.files(__package__).joinpath("lambda.lock")
        with resources.as_file(lock) as path:
            fetch(path, folder, target)
        files = [file for file in folder.rglob("*") if file.is_file()]
        names = {file.relative_to(folder).as_posix(): file for file in files}
        return {name: file.read_bytes() for name, file in names.items() if is_wanted(name)}


def _closure() -> tuple[set[str], set[str]]:
    return closure(_source(), handler_modules(), ROOT, without=FOR_TRIALS)


def _source() -> Path:
    return Path(__file__).parents[2]


def _data_files(package: Path) -> list[Path]:
    """What lies in a package, or in a folder of it that is none, and is no source."""
    found = []
    for path in package.iterdir():
        if path.is_dir():
            if path.name != "__pycache__" and not (path / "__init__.py").exists():
                found += [file for file in path.rglob("*") if file.is_file() and file.suffix not in {".py", ".pyc"}]
        elif path.suffix not in {".py", ".pyc"}:
            found.append(path)
    return found
