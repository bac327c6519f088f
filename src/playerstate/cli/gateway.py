"""A gateway: the socket of a node in a local folder, and a deployment on AWS behind it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from queue import SimpleQueue

import msgspec
import structlog

import playerstate
from playerstate.cli import console
from playerstate.cli.opening import at_url
from playerstate.errors import PlayerStateError, StartRefused
from playerstate.folder import FOLDER_FILE, GATEWAY_FILE, take_lock, write_file
from playerstate.runtime.socket_server import SocketServer

log = structlog.get_logger(__name__)


def run_gateway(data: Path, url: str, signals: SimpleQueue[int], *, as_json: bool) -> bool:
    """Answer calls on the folder until a signal comes. False, with the reason told, if that could not start."""
    try:
        with contextlib.ExitStack() as opened:
            _hold(data, url, opened)
            state = opened.enter_context(contextlib.closing(at_url(url)))
            opened.enter_context(contextlib.closing(SocketServer(data, state)))
            _announce(data, url, as_json=as_json)
            signals.get()
    except PlayerStateError as exc:
        console.report(exc, as_json=as_json)
        return False
    log.info("stopped")
    return True


def _hold(data: Path, url: str, opened: contextlib.ExitStack) -> None:
    """Take the folder for this gateway, and write down that it is one: no node may ever open it for itself."""
    opened.callback(os.close, take_lock(data))
    if (data / FOLDER_FILE).exists():
        raise StartRefused(f"{data} holds a node's state; a gateway needs a folder of its own")
    write_file(data / GATEWAY_FILE, msgspec.json.encode({"url": url}))


def _announce(data: Path, url: str, *, as_json: bool) -> None:
    where = str(data.absolute())
    log.info("serving", data=where, url=url, pid=os.getpid(), version=playerstate.__version__)
    if as_json:
        console.document({"serving": where, "url": url, "pid": os.getpid()})
    else:
        console.say(f"Serving {where}: {url}, process {os.getpid()}. Ctrl-C stops it.")
