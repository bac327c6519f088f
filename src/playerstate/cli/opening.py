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
from playerstate.folder import FOLDER_FILE, GATEWAY_FILE

CATCH_UP_S = 30.0


def is_data_folder(path: Path) -> bool:
    """Whether a node has run here, or a gateway to a deployment on AWS."""
    return (path / FOLDER_FILE).is_file() or (path / GATEWAY_FILE).is_file()


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
def existing_node(data: Path, *, url: str | None = None) -> Iterator[PlayerState]:
    """The node of a folder that is there already, having finished what an earlier one left; or what is at a URL.

    Raises `Unavailable` if there is no such folder.
    """
    url = url_in_force(url)
    if url is not None:
        with any_node(data, url=url) as node:
            yield node
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
    configure_logging(LogLevel.WARNING)
    url = url_in_force(url)
    if url is None:
        check_one_region(data)
    signal.signal(signal.SIGTERM, _end)
    node = (find_node(data) or _open_here(data, schema)) if url is None else at_url(url)
    try:
        yield node
    finally:
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        node.close()


def url_in_force(url: str | None) -> str | None:
    """The URL, or None if the data folder is meant: what the command line says goes before the environment.

    Raises `UsageError` if both are given in the same place.
    """
    context = click.get_current_context(silent=True)
    if url is None or context is None:
        return url
    folder_from, url_from = context.get_parameter_source("data"), context.get_parameter_source("url")
    if folder_from not in {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}:
        return url
    if folder_from is url_from:
        raise click.UsageError("Give --data or --url, not both (PLAYERSTATE_DATA, PLAYERSTATE_URL).")
    return url if url_from is ParameterSource.COMMANDLINE else None


def at_url(url: str) -> PlayerState:
    """The deployment at a URL. Raises `StartRefused` if there is none, `Unavailable`."""
    try:
        import botocore  # noqa: F401 - of the extra
    except ImportError as exc:
        raise StartRefused("An aws:// URL needs the extra `aws`: pip install 'playerstate[aws]'") from exc
    from playerstate.aws.state import connect

    return connect(url)


def _open_here(data: Path, schema: str | None) -> PlayerState:
    from playerstate.node import Options  # with it come the backends, which a client of a running node does not need

    # a command ends soon: worker processes would take longer to start than what it is for
    return playerstate.open(data, schema=schema, options=Options(workers="thread"))


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
