"""What modules import, found by reading their sources: nothing is run, so that the machine need not be the target.

Imports inside functions count too, for a handler may well import late; those for type checkers alone do not. The root
package is the exception: what its functions import is for programs that open a node.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def handlers(source: Path, package: str) -> list[str]:
    """The modules of a package that have a `handler`, by name. `source` is the folder that the package lies in."""
    folder = source.joinpath(*package.split("."))
    found = sorted(path for path in folder.glob("*.py") if _has_handler(path))
    return [f"{package}.{path.stem}" for path in found]


def closure(
    source: Path, modules: Iterable[str], root: str, *, without: tuple[str, ...] = ()
) -> tuple[set[str], set[str]]:
    """All modules of the package `root` that are imported with these, and the top-level names of all others.

    Packages `without` which it shall be are passed over, with what only they import.
    """
    own: set[str] = set()
    foreign: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in own or _lies_in(module, without):
            continue
        top = module.partition(".")[0]
        if top != root:
            foreign.add(top)
            continue
        path = module_file(source, module)
        if path is None:  # a name in a module, and no module
            continue
        own.add(module)
        waiting.extend(_parents(module))
        waiting.extend(_imported(path, functions=module != root))
    return own, foreign


def module_file(source: Path, module: str) -> Path | None:
    """The file of a module or package, if there is one."""
    path = source.joinpath(*module.split("."))
    for file in path.with_suffix(".py"), path / "__init__.py":
        if file.is_file():
            return file
    return None


def _has_handler(path: Path) -> bool:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and node.name == "handler":
            return True
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "handler" for target in targets):
            return True
    return False


def _lies_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _parents(module: str) -> Iterator[str]:
    parent = module.rpartition(".")[0]
    if parent:
        yield parent


def _imported(path: Path, *, functions: bool) -> Iterator[str]:
    waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and _is_for_type_checkers(node.test):
            waiting.extend(node.orelse)
        elif functions or not isinstance(node, ast.FunctionDef):
            waiting.extend(ast.iter_child_nodes(node))


def _is_for_type_checkers(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in {getattr(test, "id", ""), getattr(test, "attr", "")}
