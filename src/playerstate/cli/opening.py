"""The node that a command speaks to: the one that runs on the data folder, or one opened for as long as it takes."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click
from click.core import ParameterSource

import playerstate
from playerstate.api import PlayerState
from playerstate.cli.common import ENDING_SIGNALS
from playerstate.cli.console import note
from playerstate.cli.logs import LogLevel, configure_logging
from playerstate.client import RemoteNode, find_node
from playerstate.deployment import Deployment
from playerstate.errors import StartRefused, Unavailable

CATCH_UP_S = 30.0


def is_data_folder(path: Path) -> bool:
    """Whether a node has run here."""
    return (path / "folder.json").is_file()


def check_data_folder(path: Path) -> None:
    """Raise `Unavailable` unless a node has run here: looking must not make a folder."""
    check_one_region(path)
    if not is_data_folder(path):
        raise Unavailable(f"There is no data folder {path}; `serve` and `send` make one, `--data` names another")


def check_one_region(path: Path) -> None:
    """Raise `Unavailable` for a deployment of several regions: a command speaks to one of them."""
    deployment = Deployment(path)
    if deployment.exists():
        named = ", ".join(f"--data {deployment.folder_of(name)}" for name in deployment.plan().living())
        raise Unavailable(f"{path} holds several regions; name one of them: {named}")


@contextlib.contextmanager
def existing_node(data: Path, url: str | None = None) -> Iterator[PlayerState]:
    """The node of a folder that is there already, having finished what an earlier one left; or the deployment at a URL.

    Raises `Unavailable` if there is no such folder.
    """
    if url is not None:
        with _deployment(url) as deployment:
            yield deployment
        return
    check_data_folder(data)
    with any_node(data) as node:
        if not isinstance(node, RemoteNode) and not node.drain(timeout_s=CATCH_UP_S):
            note(f"the node is still busy with earlier updates after {CATCH_UP_S:.0f} s; what follows may lag")
        yield node


@contextlib.contextmanager
def running_node(data: Path) -> Iterator[RemoteNode]:
    """The node that runs on a folder: one opened for this alone would have nothing to tell of itself.

    Raises `Unavailable` if none does.
    """
    check_data_folder(data)
    node = find_node(data)
    if node is None:
        raise Unavailable(f"No node runs on {data}; `serve` starts one")
    with contextlib.closing(node):
        yield node


@contextlib.contextmanager
def any_node(data: Path, *, schema: str | None = None, url: str | None = None) -> Iterator[PlayerState]:
    """The node of a folder, which is made if it is not there, with `schema` or the starter's; or what is at a URL.

    Being told to end is an exception inside; while the node is being closed it is ignored.
    """
    if url is not None:
        with _deployment(url) as deployment:
            yield deployment
        return
    configure_logging(LogLevel.WARNING)
    check_one_region(data)
    signal.signal(signal.SIGTERM, _end)
    node = find_node(data) or _open_here(data, schema)
    try:
        yield node
    finally:
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        node.close()


@contextlib.contextmanager
def _deployment(url: str) -> Iterator[PlayerState]:
    """The deployment on AWS at a URL, for as long as it takes."""
    context = click.get_current_context(silent=True)
    if context is not None and context.get_parameter_source("data") is ParameterSource.COMMANDLINE:
        raise click.UsageError("Give --data or --url, not both.")
    configure_logging(LogLevel.WARNING)
    try:
        from playerstate.aws.state import connect
    except ModuleNotFoundError as exc:
        raise StartRefused("A deployment on AWS needs the extra `aws`: pip install 'playerstate[aws]'") from exc
    with contextlib.closing(connect(url)) as state:
        yield state


def _open_here(data: Path, schema: str | None) -> PlayerState:
    from playerstate.node import Options  # with it come the backends, which a client of a running node does not need

    # a command ends soon: worker processes would take longer to start than what it is for
    return playerstate.open(data, schema=schema, options=Options(workers="thread"))


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
