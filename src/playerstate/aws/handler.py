"""How a function of AWS Lambda begins: settings, clients and parts are made once, and stay for all its calls.

Under Lambda they are made while the module is imported, which counts as the start and not as a call: with provisioned
concurrency nobody waits for it. Elsewhere they are made at the first call, so that importing needs no settings.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from playerstate.aws import settings as s
from playerstate.aws.meter import Meter
from playerstate.aws.settings import PARAMETER, Environment
from playerstate.aws.wiring import Wiring
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.emf import HANDLER_START, Emf
from playerstate.errors import described
from playerstate.runtime.logs import LogStyle, configure_logging

log = structlog.get_logger(__name__)

_process_began_at_s = time.monotonic()


class Function(Protocol):
    """What a handler calls: an event in, a response out."""

    def __call__(self, event: Any) -> Any:
        """Process an event."""
        ...


class FunctionFailed(Exception):
    """What Lambda is told of an error: what it was, and nothing of players. The log has the rest."""


class Handler:
    """What Lambda calls; `make` wires the function."""

    def __init__(self, name: str, make: Callable[[Wiring, Meter], Function]) -> None:
        self.name = name
        self._make = make
        self._function: tuple[Function, Meter] | None = None
        self._making = threading.Lock()
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            self._made()

    def __call__(self, event: Any, context: object = None) -> Any:
        """Handle an event, as Lambda calls it."""
        function, meter = self._made()
        try:
            return function(event)
        except Exception as exc:
            log.exception("a function has failed", function=self.name)
            raise FunctionFailed(described(exc)) from None  # Lambda prints it, and its words may be players' data
        finally:
            meter.flush()

    def _made(self) -> tuple[Function, Meter]:
        with self._making:
            if self._function is None:
                self._function = self._wired()
            return self._function

    def _wired(self) -> tuple[Function, Meter]:
        environment = _environment()
        configure_logging(LogStyle(environment.text(s.LOG_LEVEL), as_json=True))
        wiring = Wiring(environment, Clients(os.environ.get("AWS_REGION", "us-east-1")))
        meter = Emf(environment.text(s.DEPLOYMENT), sys.stdout, wiring.clock)
        function = self._make(wiring, meter)
        meter.observe(HANDLER_START, [(time.monotonic() - _process_began_at_s) * 1000], self.name)
        return function, meter


def _environment() -> Environment:
    """The settings in the process's environment or, where that names one, in a parameter."""
    Environment.check(os.environ)
    name = os.environ.get(PARAMETER, "")
    if not name:
        return Environment.of_process(os.environ)
    clients = Clients(os.environ.get("AWS_REGION", "us-east-1"))
    answer = clients.read("ssm", "get_parameter", Name=name, WithDecryption=True)
    return Environment.of_parameter(answer["Parameter"]["Value"], name)
