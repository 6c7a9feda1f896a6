"""The fleet in containers put to the test."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from services.core.chaos.amounts import Submission
from services.core.chaos.containers.asking import Asking, in_container
from services.core.chaos.containers.faults import ContainerFaults
from services.core.chaos.containers.project import ComposeProject
from services.core.chaos.course import RABBITMQ, REDIS, Course, Run, Subject
from services.core.chaos.faults import Tell
from services.core.chaos.load import CLIENT, ClientLoad
from services.core.chaos.report import Report
from services.core.chaos.scenario import HELPERS
from services.core.chaos.schedule import Pace, Targets
from shared.names import BrokerName, ServiceName
from shared.queues import QUEUES, Pool, QueueSpec

POSTGRES, RELAY, MAIL = "postgres", "relay", "mail"
BROKERS, LEDGER = "brokers", "ledger"
NETWORKS = {REDIS: BROKERS, RABBITMQ: BROKERS, POSTGRES: LEDGER}
"""The network over which each server is reached."""
WORKING_FOLDER = "/work"
"""Where the service ``yard`` of ``compose.yaml`` sees what it is given."""


def service_of(spec: QueueSpec) -> str:
    """Return the name of the service of ``compose.yaml`` that works on a queue."""
    return spec.name.replace(".", "-")


WORKERS = tuple(service_of(spec) for spec in QUEUES)
TARGETS = Targets(
    workers=WORKERS,
    forking=[service_of(spec) for spec in QUEUES if spec.pool is Pool.PREFORK],
    helpers=HELPERS,
    redis=REDIS,
    rabbitmq=RABBITMQ,
    database=POSTGRES,
    rolled=WORKERS,
    cut_off=tuple(NETWORKS),
    proxied=False,
    pace=Pace(every=5.0, between=30.0),
)
"""What can be struck.  A container takes longer to come back than a process."""
BEHIND = {
    REDIS: [service_of(spec) for spec in QUEUES if spec.broker != BrokerName.BATCH],
    RABBITMQ: [service_of(spec) for spec in QUEUES if spec.broker == BrokerName.BATCH],
    POSTGRES: [*(service_of(spec) for spec in QUEUES if spec.service == ServiceName.CORE), RELAY],
}


def play_in_containers(run: Run, home: Path, *, tell: Tell) -> Report:
    """Run a scenario over containers; no container, network or volume of it is left, whatever ends it.

    Args:
        run: What to run.
        home: Folder for its logs and messages; empty or missing.
        tell: Takes a line on what happens.

    Raises:
        ConfigurationError: This is no checkout, or no container engine answers.
        LocalFleetError: The fleet can't be started.
    """
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with (
        ComposeProject(home, (*WORKERS, *HELPERS, MAIL, *NETWORKS), tell) as project,
        Asking(project, WORKERS) as witness,
    ):
        witness.wait_until_seen(WORKERS)
        return Course(run, _subject(run, project, witness), tell).take()


def _subject(run: Run, project: ComposeProject, witness: Asking) -> Subject:
    return Subject(
        name=f"{run.scenario}, in containers",
        targets=TARGETS,
        faults=ContainerFaults(project, NETWORKS, run.seed),
        load=lambda plan: _load(plan, project, run.seed),
        arrived=witness.arrived,
        check=witness.check,
        workers={name: partial(witness.look, name) for name in WORKERS},
        behind=BEHIND,
        in_flight={**dict.fromkeys(HELPERS, lambda: 0), RELAY: partial(witness.in_flight, RELAY)},
        dead_letters=witness.dead_letters,
        gave_up=lambda: [name for name in (*WORKERS, *HELPERS, *NETWORKS) if project.container(name) is None],
    )


def _load(plan: Sequence[Submission], project: ComposeProject, seed: int) -> ClientLoad:
    path = project.given / "plan.json"
    return ClientLoad(
        plan, path, project.process("client", *in_container("-m", CLIENT, f"{WORKING_FOLDER}/{path.name}", str(seed)))
    )
