"""A package holds what its handlers import, for the machine it is for, and is the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import playerstate
from docs.markdown import read, section, table_rows
from playerstate.cli.main import run
from playerstate.errors import PackagingFailed
from playerstate.packaging import fetching
from playerstate.packaging.build import build, foreign_names, handler_modules, locked_files, own_files, own_modules
from playerstate.packaging.fetching import ARM64, fetch
from playerstate.packaging.pruning import SERVICES

LOCK = Path(playerstate.__file__).parent / "packaging" / "lambda.lock"
EM_AARCH64 = 183


def run_alone(folder: Path, *lines: str) -> None:
    """Run a program that has the standard library and a package, and nothing else of this machine."""
    script = "\n".join([f"import sys; sys.path.append({str(folder)!r})", *lines])
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr


def files(told: Any) -> dict[str, bytes]:
    with ZipFile(told["path"]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_same_inputs_give_the_same_bytes(told: Any, schema_file: Path, tmp_path: Path) -> None:
    """A second build, by another process and at another time, is the same file."""
    again = build(tmp_path, schema_file.read_text("utf-8"))
    assert again.path.read_bytes() == Path(told["path"]).read_bytes()
    assert again.sha256 == told["sha256"]


def test_nothing_of_this_machine(told: Any) -> None:
    """Entries are sorted, without times and owners, and readable by all, as Lambda needs them."""
    with ZipFile(told["path"]) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    for entry in entries:
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert stat.filemode(entry.external_attr >> 16) == "-rw-r--r--"


def test_what_is_told_is_so(told: Any) -> None:
    """Sizes and hashes are the file's; it fits into Lambda with room to spare."""
    packed = Path(told["path"]).read_bytes()
    assert told["bytes"] == len(packed) < 10_000_000
    assert told["unpacked_bytes"] == sum(map(len, files(told).values())) < 25_000_000
    assert told["files"] == len(files(told))
    assert told["sha256"] == hashlib.sha256(packed).hexdigest()
    assert base64.b64decode(told["sha256_base64"]).hex() == told["sha256"]
    assert (told["runtime"], told["architecture"]) == ("python3.13", "arm64")


def test_it_is_for_arm64(told: Any) -> None:
    """Every library is one for that machine and that Python, and every wheel was."""
    libraries = {name: data for name, data in files(told).items() if name.endswith(".so")}
    assert {name.partition("/")[0] for name in libraries} == {"hiredis", "msgspec"}
    for name, data in libraries.items():
        assert data[:4] == b"\x7fELF"
        assert struct.unpack_from("<H", data, 18)[0] == EM_AARCH64, name
        assert ".cpython-313-aarch64-" in name
    wheels = {name: data.decode() for name, data in files(told).items() if name.endswith(".dist-info/WHEEL")}
    locked = re.findall(r"^([\w-]+)==", LOCK.read_text("utf-8"), re.M)
    assert len(wheels) == len(locked)
    for name, text in wheels.items():
        tags = re.findall(r"^Tag: (\S+)", text, re.M)
        assert tags, name
        assert all(re.fullmatch(r"py\S*-none-any|cp313-cp313-\S+_aarch64", tag) for tag in tags), (name, tags)


def test_what_is_in_it(told: Any, schema_file: Path) -> None:
    """Handlers, the schema, the services' models and all licences; no commands, no node, no tests, nothing compiled."""
    names = set(files(told))
    assert told["handlers"] == [module.rpartition(".")[2] for module in handler_modules()]
    assert {f"playerstate/lambdas/{name}.py" for name in told["handlers"]} <= names
    assert files(told)["game.toml"] == schema_file.read_bytes()
    assert {name.split("/")[2] for name in names if re.match("botocore/data/.*/", name)} == SERVICES
    licensed = {name.partition("-")[0] for name in names if re.search(r"\.dist-info/.*LICEN[CS]E", name)}
    assert licensed == {name.partition("-")[0] for name in names if ".dist-info/" in name}
    for part in (
        "cli",
        "node.py",
        "simulation",
        "trials",
        "workload",
        "packaging",
        "backends/ladybug",
        "backends/sqlite",
        "backends/memory",
    ):
        assert not any(name.startswith(f"playerstate/{part}") for name in names), part
    assert not [name for name in names if re.search(r"\.py[ci]$|__pycache__|/tests?/|METADATA|RECORD", name)]


def test_every_source_of_ours_is_as_it_is_here(told: Any) -> None:
    """What is packed is this code, with the scripts that lie beside it."""
    packed = files(told)
    own = own_files()
    assert {name: packed[name] for name in own} == own
    assert {name for name in packed if name.startswith("playerstate/")} == set(own)


def test_there_are_handlers() -> None:
    """What the other tests look at is there."""
    assert len(handler_modules()) >= 8


def test_all_handlers_are_told_of() -> None:
    """In the page on AWS, and none that is not there."""
    told = [row[0].strip("`") for row in table_rows(section(read("docs/aws.md"), "Packages"))]
    assert sorted(f"playerstate.lambdas.{name}" for name in told) == handler_modules()


@pytest.mark.parametrize("module", handler_modules())
def test_a_handler_imports_from_its_package_alone(unpacked: Path, module: str) -> None:
    """With the standard library, and nothing else of this machine."""
    run_alone(unpacked, f"import {module} as m", "assert callable(m.handler)")


def test_all_of_it_imports(unpacked: Path) -> None:
    """Every module that is packed, also those that a handler imports late."""
    run_alone(unpacked, *(f"import {module}" for module in sorted(own_modules())))


def test_clients_of_all_services_can_be_made(unpacked: Path) -> None:
    """What was left of botocore's data is enough for each of them."""
    run_alone(
        unpacked,
        "import botocore.session",
        f"for service in {sorted(SERVICES)!r}:",
        "    made = botocore.session.Session().create_client(service, 'us-east-1')",
        "    assert made.meta.endpoint_url",
    )


def test_all_imports_are_locked(unpacked: Path) -> None:
    """What handlers import, late imports too, is the standard library's or in the package."""
    elsewhere = foreign_names() - set(sys.stdlib_module_names)
    assert {"botocore", "msgspec"} <= elsewhere
    for name in elsewhere:
        assert (unpacked / name).is_dir() or (unpacked / f"{name}.py").is_file(), name


def test_all_services_that_are_called_have_their_models() -> None:
    """A new service in the code has to be in the list of those that packages keep."""
    own = b"".join(own_files().values()).decode("utf-8", "replace")
    called = set(re.findall(r"\.(?:read|write|of)\(\s*\"([a-z][a-z-]+)\"", own))
    assert "dynamodb" in called
    assert called <= SERVICES


def test_a_wheel_that_is_not_the_locked_one_is_refused(registry: None, tmp_path: Path) -> None:
    """Nothing is packed whose hash is not in the lock."""
    lock = tmp_path / "wrong.lock"
    lock.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n", "utf-8")
    with pytest.raises(PackagingFailed, match="six"):
        fetch(lock, tmp_path / "folder", ARM64)


def test_without_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, schema_file: Path) -> None:
    """It is said what is missing, exit code 3, and nothing is made."""
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PackagingFailed, match="pip"):
        locked_files(ARM64)
    assert run(["aws", "package", str(tmp_path / "made"), "--schema", str(schema_file)]) == 3
    assert not (tmp_path / "made").exists()


def test_a_schema_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is refused before anything is fetched, exit code 1."""
    schema = tmp_path / "game.toml"
    schema.write_text('[game]\nname = "x"\nversion = 1\n[keys.gold]\ntype = "coins"\n', "utf-8")
    assert run(["aws", "package", str(tmp_path / "made"), "--schema", str(schema), "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "schema_refused"
    assert not (tmp_path / "made").exists()
