"""The worker of a fleet: joins the broker that owns its queues, and is set up as the queue table says."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any

import click
from celery.apps.worker import Worker
from celery.bootsteps import RUN
from celery.utils.text import str_to_list
from celery.worker import state
from click.core import ParameterSource

from shared.errors import ConfigurationError
from shared.logs.setting_up import read_by_programs
from shared.queues import AFTER_GRACE_SECONDS, Pool, QueueSpec, worker_setup
from shared.threads import wait_for_threads
from shared.usage_errors import as_usage_error
from shared.worker.memory import memory_of
from shared.worker.stopping import GracePeriod, install_signal_handlers
from shared.worker.suspects import Isolation
from shared.worker.time_limits import fleet_pool, holds

logger = logging.getLogger(__name__)


class FleetWorker(Worker):
    """Celery's worker program, started by ``celery worker`` as usual.

    What the command line leaves open (pool, concurrency, prefetch, time limits, limits per child) comes from the queue
    table.

    Raises:
        FleetError: The queues are unknown, belong to two brokers, or want different pools.  On the command
            line it is shown as a usage error, and nothing was connected.
    """

    class Blueprint(Worker.Blueprint):
        """Celery's, with what belongs to every worker of a fleet."""

        default_steps = Worker.Blueprint.default_steps | {
            "shared.worker.acknowledgement:Acknowledgement",
            "shared.worker.chords:WatchChords",
            "shared.worker.delays:MoveDelayed",
            "shared.worker.pausing:Pausing",
            "shared.worker.stopping:Stopping",
        }

    def setup_defaults(self, queues: Any = None, exclude_queues: Any = None, **options: Any) -> None:
        """Join the broker of the queues and fill in what the command line left open."""
        with as_usage_error():
            specs = self._chosen(queues, exclude_queues)
            self.app.join([spec.name for spec in specs])
            options = {**options, **self._from_table(specs, options)}
            _ = self.app.backend  # the banner asks for it later, where a wrong URL would be a traceback
        super().setup_defaults(**options)
        self.isolation = Isolation(self)
        self.grace_period = GracePeriod(self, self.time_limit or max(spec.grace for spec in specs))

    def _process_task(self, req: Any) -> None:
        """Start a task, unless it has to wait until it is alone or has died too often."""
        if self.blueprint.state != RUN:  # it came while the consumer was cancelled, and goes back with the connection
            state.task_ready(req)
            self.release_slot()
        elif self.isolation.admits(req):
            super()._process_task(req)

    def start_task(self, request: Any) -> None:
        """Start a task now."""
        super()._process_task(request)

    def release_slot(self) -> None:
        """Free the slot of a task that did not start."""
        if self.pool.uses_semaphore and self.semaphore is not None:
            self._quick_release()

    def stats(self) -> dict[str, Any]:
        """Tell what ``inspect stats`` shows: Celery's, and how much memory the worker has with its pool."""
        told: dict[str, Any] = super().stats()
        return {**told, "memory_kib": memory_of(told)}

    def emit_banner(self) -> None:
        """Show a person what this worker is made of; where programs read the log, it would be no line of it."""
        if not read_by_programs(sys.__stderr__):
            super().emit_banner()

    def install_platform_tweaks(self, worker: Any) -> None:
        """Install signal handlers."""
        super().install_platform_tweaks(worker)
        install_signal_handlers(worker)

    def on_stopped(self) -> None:
        """Settle what was acknowledged and has ended, and disconnect."""
        self.app.acknowledging.close()
        with suppress(*self.consumer.connection_errors):
            self.consumer.settling.settle()
        super().on_stopped()
        if self.pool.is_green:
            self.grace_period.end()
            wait_for_threads(AFTER_GRACE_SECONDS)

    def _chosen(self, queues: Any, exclude: Any) -> list[QueueSpec]:
        declared = self.app.amqp.queues
        wanted = [declared[name].name for name in str_to_list(queues) or self.app.default_worker_queues]
        unwanted = {declared[name].name for name in str_to_list(exclude) or ()}
        specs = [self.app.queue_table[name] for name in dict.fromkeys(wanted) if name not in unwanted]
        if not specs:
            raise ConfigurationError("There is no queue left to serve; every one is excluded.")
        return specs

    def _from_table(self, specs: list[QueueSpec], given: dict[str, Any]) -> dict[str, Any]:
        setup = worker_setup(specs, given.get("pool") if asked_for("pool", given) else None)
        if setup.pool == Pool.GEVENT:
            raise ConfigurationError(
                f"Queue {specs[0].name} wants gevent, for which Celery has to know at once: add --pool=gevent."
            )
        options: dict[str, Any] = {
            "pool": fleet_pool(setup.pool),
            "concurrency": given.get("concurrency") or setup.concurrency,
            "soft_time_limit": self._limit("soft_time_limit", given, setup.soft_time_limit),
            "time_limit": self._limit("time_limit", given, setup.time_limit),
        }
        for of_children in ("max_memory_per_child", "max_tasks_per_child"):
            said = given.get(of_children) or self.app.conf[f"worker_{of_children}"]
            options[of_children] = said or getattr(setup, of_children)
        if not asked_for("prefetch_multiplier", given):
            options["prefetch_multiplier"] = setup.prefetch
        soft, hard = options["soft_time_limit"], options["time_limit"]
        if soft and hard and soft >= hard:
            raise ConfigurationError(
                f"The soft time limit ({soft:g} s) must be below the hard one ({hard:g} s); 0 is no limit."
            )
        for limit in ("soft_time_limit", "time_limit"):
            if options[limit] and not holds(options["pool"], limit):
                if asked_for(limit, given):
                    raise ConfigurationError(f"This pool can't enforce --{limit.replace('_', '-')}; use prefork.")
                logger.warning("This pool can't enforce the %s of queue %s.", limit, specs[0].name)
                options[limit] = None
        return options

    def _limit(self, name: str, given: dict[str, Any], in_table: float | None) -> float | None:
        limit: float | None = given.get(name) if asked_for(name, given) else in_table
        return limit or None


def asked_for(option: str, given: dict[str, Any]) -> bool:
    """Tell whether whoever starts the worker chose the value of an option, and it is no default."""
    context = click.get_current_context(silent=True)
    if context is None:
        return given.get(option) is not None
    chosen = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    return context.get_parameter_source(option) in chosen
