"""What of installed distributions goes into a package: what runs, and the licences under which it may be handed on."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

SERVICES = frozenset(
    {
        "cloudwatch",
        "dynamodb",
        "dynamodbstreams",
        "kinesis",
        "s3",
        "secretsmanager",
        "sns",
        "sqs",
        "ssm",
        "sts",
        "timestream-query",
        "timestream-write",
    }
)
"""The services whose models botocore is left with."""

_UNWANTED_FOLDERS = frozenset({"bin", "__pycache__", "test", "tests"})
_UNWANTED_SUFFIXES = frozenset({".c", ".h", ".pxd", ".pyc", ".pyi", ".pyx", ".typed"})
_LICENCE = re.compile(r"(LICEN[CS]E|NOTICE|COPYING|AUTHORS)", re.IGNORECASE)
_TIME_ZONES = "dateutil/zoneinfo/"
"""A copy of all time zones, for machines that have none; botocore asks for UTC alone."""


def is_wanted(name: str) -> bool:
    """Whether a file of the installed distributions goes in; `name` is its path in the folder that holds them."""
    path = PurePosixPath(name)
    if _UNWANTED_FOLDERS & set(path.parts) or path.suffix in _UNWANTED_SUFFIXES:
        return False
    if path.parts[0].endswith(".dist-info"):
        return path.name == "WHEEL" or bool(_LICENCE.match(path.name))
    if path.parts[:2] == ("botocore", "data"):
        return _is_wanted_data(path)
    return not (name.startswith(_TIME_ZONES) and path.suffix == ".gz")


def _is_wanted_data(path: PurePosixPath) -> bool:
    service = path.parts[2]
    if len(path.parts) == 3:  # what botocore needs itself: endpoints, partitions, what is tried again
        return True
    return service in SERVICES and not path.name.startswith("examples")
