"""The machine that was measured on, and the versions of what ran there."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.processes import ARQ, PEERS
from benchmarks.servers import Servers

OURS = ("celery", "kombu", "redis", "amqp", "pyvips")
VERSIONS = "import json, importlib.metadata as m, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
THEIRS = {
    PEERS: ("celery", "huey", "dramatiq", "taskiq", "taskiq-redis", "taskiq-aio-pika", "rq", "redis"),
    ARQ: ("arq",),
}


def describe(servers: Servers) -> dict[str, Any]:
    """Return what the page says of the machine."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "processor": f"{psutil.cpu_count()} cores, {_processor()}",
        "memory": f"{memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "Redis": str(servers.client().info("server")["redis_version"]),
        "RabbitMQ": servers.rabbitmq_version(),
        "Switchyard on": ", ".join(f"{name} {version(name)}" for name in OURS),
        "peers": ", ".join(part for folder in THEIRS for part in _versions(folder)),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.processor()


def _versions(folder: Path) -> list[str]:
    ask = partial(subprocess.run, check=True, capture_output=True, text=True, timeout=30)
    found = json.loads(ask([folder / "python", "-c", VERSIONS, *THEIRS[folder]]).stdout)
    return [f"{name} {found[name]}" for name in THEIRS[folder]]
