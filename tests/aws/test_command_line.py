"""The commands against a deployment on AWS: the real program, an emulator, functions driven beside it."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aws.cloud import Told
from e2e import program
from e2e.program import Served, run
from ministack import MiniStack
from playerstate.aws import settings as s
from playerstate.aws.applying import applying
from playerstate.aws.projecting import projecting
from playerstate.aws.state import connect, wiring_at
from playerstate.aws.trial import make_trial
from playerstate.backends.memory.graph import MemoryGraph
from playerstate.backends.valkey.server import ValkeyServer
from playerstate.lambdas import audit

SCHEMA = """
[game]
name = "trial"
version = 1

[keys.gold]
type = "counter"
"""
DRIVER = Path(__file__).parents[2] / "examples" / "aws_demo" / "driver.py"


def new_driver(clients: Any) -> Any:
    """The demonstration's driver of functions."""
    spec = importlib.util.spec_from_file_location("aws_demo_driver", DRIVER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Driver(clients)


@pytest.fixture(scope="module")
def environment(ministack: MiniStack) -> Iterator[pytest.MonkeyPatch]:
    """What botocore finds, in this process and in the commands'."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": ministack.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
            patch.setitem(program.ENVIRONMENT, name, value)
        yield patch


@pytest.fixture(scope="module")
def url(ministack: MiniStack, tmp_path_factory: pytest.TempPathFactory, environment: object) -> Iterator[str]:
    """A deployment of one region, and another that is only named, its functions driven."""
    folder = tmp_path_factory.mktemp("deployment")
    valkey = ValkeyServer(tmp_path_factory.mktemp("valkey"), maxmemory_mb=64, marker="command-line")
    valkey.start()
    given = {
        s.REGIONS: "us-east-1,eu-west-1",
        s.CACHE_URL: valkey.url,
        s.GRAPH_URL: f"ladybug:{folder / 'graph'}",
        s.AUDIT_URL: f"sqlite:{folder / 'audit.db'}",
    }
    made = make_trial(ministack.clients(), ministack.name("cli"), "us-east-1", given, schema_text=SCHEMA)
    wiring, told = wiring_at(made), Told()
    wiring.graph = MemoryGraph()  # the one on disk is opened by one process, and the commands' is to be that
    driver = new_driver(wiring.clients)
    text = wiring.environment.text
    driver.stream("apply", text(s.STREAM), applying(wiring, told))
    driver.table("project", text(s.TABLE), projecting(wiring, told))
    driver.queue("audit", text(s.AUDIT_QUEUE_URL), audit.make(wiring, told))
    yield made
    driver.stop()
    valkey.stop()
    assert driver.errors == []


def test_commands_do_what_they_do_on_a_node(url: str) -> None:
    """From send to erase: each in a process of its own, that knows nothing but the URL."""
    sent = run("send", "ada", "gold", "add", "5", "--url", url, "--json")
    assert sent.code == 0, sent.err
    assert sent.document()["outcome"]["status"] == "applied"
    put = run("set", "ada", "gold", "7", "--reason", "a test", "--yes", "--url", url, "--json")
    assert put.code == 0, put.err
    assert run("get", "ada", "gold", "--url", url, "--json").document()["value"] == 7
    verified = run("verify", "--all", "--no-repair", "--url", url, "--json")
    assert verified.code == 0, verified.err + verified.out
    erased = run("erase", "ada", "--reason", "asked for", "--yes", "--url", url)
    assert erased.code == 0, erased.err
    assert run("get", "ada", "gold", "--url", url, "--json").document()["value"] == 0


def test_history_says_which_regions_it_has_not_read(url: str) -> None:
    """Other regions' audits are not reached from here: a page that kept silent would look whole."""
    told = run("history", "bob", "--url", url)
    assert told.code == 0, told.err
    assert "eu-west-1" in told.out + told.err
    with closing(connect(url)) as state:
        assert state.history("bob", everywhere=False).not_read == {}


def test_a_gateway_is_found_by_its_folder(url: str, tmp_path: Path) -> None:
    """By commands and programs that know the folder alone; when it is gone no node is made in its place."""
    served = Served(tmp_path / "gateway", "--url", url)
    try:
        sent = served.run("send", "eve", "gold", "add", "3", "--json")
        assert sent.code == 0, sent.err
        assert served.run("get", "eve", "gold", "--json").document()["value"] == 3
        assert bytes(served.node.export("eve").keys["gold"].view.value) == b"3"
        assert (served.node.findings("eve"), served.node.dead_letters()) == ([], [])
        assert served.run("status").code == 0
        assert served.node.drain(timeout_s=30)
        again = run("serve", "--data", str(served.data), "--url", url)
        assert again.code == 1
        assert "Another node" in again.err
        assert served.end(signal.SIGTERM) == 0
    finally:
        served.abandon()
    left = run("get", "eve", "--data", str(served.data))
    assert left.code == 3
    assert "gateway" in left.err
    assert not (served.data / "store.db").exists()


def test_a_folder_with_state_becomes_no_gateway(url: str, tmp_path: Path) -> None:
    """What it holds would be out of reach."""
    (tmp_path / "folder.json").write_text("{}")
    refused = run("serve", "--data", str(tmp_path), "--url", url)
    assert refused.code == 1
    assert "of its own" in refused.err
    assert not (tmp_path / "gateway.json").exists()


def test_what_is_not_there_is_one_line(url: str) -> None:
    """A deployment, a schema, a URL that is none: an exit code and a sentence."""
    nowhere = run("get", "ada", "--url", "aws://us-east-1/nowhere")
    assert (nowhere.code, len(nowhere.err.splitlines())) == (3, 1)
    assert "/nowhere/settings" in nowhere.err
    wrong = run("get", "ada", "--url", "http://us-east-1/x")
    assert (wrong.code, len(wrong.err.splitlines())) == (3, 1)


def test_a_deployment_without_a_schema_says_so(ministack: MiniStack, url: str, tmp_path: Path) -> None:
    """Neither a setting, nor a parameter, nor a file where functions have theirs."""
    name = ministack.name("bare")
    clients = ministack.clients()
    clients.write("ssm", "put_parameter", Name=f"/{name}/settings", Type="String", Value='{"region": "us-east-1"}')
    bare = run("get", "ada", "--url", f"aws://us-east-1/{name}", cwd=tmp_path)
    assert (bare.code, len(bare.err.splitlines())) == (3, 1)
    assert f"/{name}/schema" in bare.err


def test_missing_credentials_and_a_wrong_profile_are_one_line(url: str, environment: pytest.MonkeyPatch) -> None:
    """Whatever botocore says of what it has not found."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delitem(program.ENVIRONMENT, name)
        patch.setitem(program.ENVIRONMENT, "HOME", "/nonexistent")
        nobody = run("get", "ada", "--url", url)
        assert (nobody.code, len(nobody.err.splitlines())) == (3, 1)
        assert "credentials" in nobody.err
        patch.setitem(program.ENVIRONMENT, "AWS_PROFILE", "nobody")
        unknown = run("get", "ada", "--url", url)
        assert (unknown.code, len(unknown.err.splitlines())) == (3, 1)


def test_folder_or_url(url: str, tmp_path: Path) -> None:
    """Both at once are refused; what the command line says goes before the environment."""
    assert run("get", "ada", "--url", url, "--data", str(tmp_path)).code == 2
    assert run("serve", "--url", url, "--data", str(tmp_path / "new"), "--regions", "a,b").code == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(program.ENVIRONMENT, "PLAYERSTATE_URL", url)
        assert run("get", "ada", "gold").code == 0
        absent = run("get", "ada", "--data", str(tmp_path / "absent"))
        assert (absent.code, "There is no data folder" in absent.err) == (3, True)
