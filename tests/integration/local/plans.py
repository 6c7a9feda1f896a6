"""Small plans for fleets that do no work."""

from __future__ import annotations

import signal
import sys

from services.core.local.specs import Plan, ProcessSpec, logged, serves_metrics
from shared.settings import FleetSettings

SLEEPER = ProcessSpec("sleeper", ("sleep", "600"))

METRICS = """
import http.server, os
address = ("127.0.0.1", int(os.environ["YARD_METRICS_PORT"]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


STUBBORN = """
import signal
signal.signal(signal.SIGTERM, lambda *_: None)
print("up", flush=True)
while True:
    signal.pause()
"""


LEISURELY = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(3), sys.exit()))
print("up", flush=True)
while True:
    signal.pause()
"""


def quiet(_settings: FleetSettings) -> Plan:
    """A process that sleeps."""
    return Plan(processes=(SLEEPER,))


class Interrupting:
    """Gets an interrupt while Python finalizes it, and Python swallows what is raised there."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def interrupted_in_a_finalizer(settings: FleetSettings) -> Plan:
    """A process that sleeps, in a fleet that is interrupted while it starts."""
    Interrupting()
    return quiet(settings)


def busy(_settings: FleetSettings) -> Plan:
    """A preparation, a process that sleeps, and one that serves metrics."""
    server = ProcessSpec("server", (sys.executable, "-c", METRICS), metrics=True, ready=serves_metrics)
    return Plan(processes=(SLEEPER, server), preparations=(ProcessSpec("prepare", ("echo", "prepared")),))


def slow_to_prepare(_settings: FleetSettings) -> Plan:
    """A preparation that takes for ever."""
    return Plan(processes=(), preparations=(ProcessSpec("prepare", ("sleep", "600")),))


def never_ready(_settings: FleetSettings) -> Plan:
    """A process that never says that it is ready."""
    return Plan(processes=(ProcessSpec("mute", ("sleep", "600"), ready=logged("ready")),))


def stubborn(_settings: FleetSettings) -> Plan:
    """A process that wants to go on for a long time when it is asked to end."""
    return Plan(processes=(ProcessSpec("stubborn", (sys.executable, "-c", STUBBORN), ready=logged("up"), grace=600),))


def leisurely(_settings: FleetSettings) -> Plan:
    """A process that takes three seconds to end."""
    argv = (sys.executable, "-c", LEISURELY)
    return Plan(processes=(ProcessSpec("leisurely", argv, ready=logged("up")),))


def once(_settings: FleetSettings) -> Plan:
    """A process that can be started once in a folder."""
    argv = ("sh", "-c", 'mkdir "$YARD_HOME/was-here" && echo up && exec sleep 600')
    return Plan(processes=(ProcessSpec("once", argv, ready=logged("up")),))


def broken(_settings: FleetSettings) -> Plan:
    """A preparation that fails."""
    failing = ("sh", "-c", "echo the ledger is older than this program; exit 3")
    return Plan(processes=(SLEEPER,), preparations=(ProcessSpec("migrate", failing),))
