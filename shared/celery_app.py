"""``FleetCelery``: a Celery app that publishes to many brokers.

It is general: brokers, queues and tasks are arguments, and Switchyard's own tables are one instance of them.
Nothing in Celery is patched; a ``FleetCelery`` works beside any other app in the same process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any

from celery.app.base import PendingConfiguration
from celery.app.utils import _new_key_to_old, _old_key_to_new
from celery.result import AsyncResult

from shared.arguments import LargeArguments, Reference
from shared.bounds import Bounds
from shared.brokers import Broker, Brokers
from shared.canvas.scattering import add_scatter
from shared.canvas.signatures import signature
from shared.chords.deadline import DEADLINE_SECONDS
from shared.chords.table import ChordTable
from shared.configuration import FLEET_DEFAULTS, CheckedSettings
from shared.connecting import ConnectingCelery
from shared.delays.entry import AT_ONCE, Delay
from shared.delays.fallback import waits_in_a_worker
from shared.delays.firing import firing_under_way
from shared.delays.table import DelayTable
from shared.errors import ConfigurationError, InvalidTable, UnknownSetting, UnknownTask
from shared.events import Subscribers
from shared.prepared.calls import PreparedCalls
from shared.producers import as_publish_failed
from shared.publishing import FleetAMQP, publication
from shared.queues import QueueSpec
from shared.results.large import LargeResults
from shared.results.opening import close_store, open_store
from shared.routing import RoutingTable, TaskSpec
from shared.state import State, StateUrl
from shared.task import fleet_base
from shared.usage_errors import as_usage_error
from shared.versions import FIRST_VERSION

if TYPE_CHECKING:
    from shared.testing.recording import Recorder
    from shared.worker.acknowledgement import Acknowledging


class FleetCelery(ConnectingCelery):
    """A Celery app over several brokers, each of which owns some of the queues.

    Args:
        main: The name of the app.
        brokers: The brokers, or a function that returns them when they are first needed.
        queues: The queue table; every queue belongs to exactly one broker.
        tasks: Where tasks go by default.  Tasks that the app itself registers need no entry.
        home: Alias of the app's own broker: remote control, beat and workers without ``-Q`` use it.
            The first queue's by default.
        service: The service whose queues a worker without ``-Q`` serves; every queue of the home broker by default.
        default_queue: The queue of a task that has no entry and no route; the first queue of the home broker
            by default.
        defaults: Celery settings, or a function that returns them when configuration is first read.
            ``app.conf`` and ``config_from_object`` win over them.
        state: URL of a Redis database for what all processes of the fleet must agree on, or a function that
            returns it when it is first needed.
        large_results: Where large results lie, or a function that says so when it is first needed; by default all
            results lie in the result store.
        large_arguments: Where large arguments lie, or a function that says so when it is first needed; by default
            all arguments travel in messages.
        bounds: How large a message may be, and how many may wait for their time, or a function that says so when it
            is first needed.
        chord_deadline: After how many seconds a chord has failed that no deadline was given for, or a function that
            says so when it is first needed; a fleet without ``state`` has no deadlines.
        message_version: Which form its messages have; see ``shared.versions``.
        options: What ``Celery`` takes.  The app does not become current unless ``set_as_current`` says so.

    Raises:
        InvalidTable: The tables contradict themselves.
    """

    amqp_cls = "shared.publishing:FleetAMQP"
    control_cls = "shared.control:FleetControl"
    events_cls = "shared.event_dispatcher:FleetEvents"
    log_cls = "shared.logs.setting_up:FleetLogging"
    task_cls = "shared.task:FleetTask"
    newer_messages_seconds = 1800.0
    """For how long a worker gives back messages of a newer release, until they are dead letters: time to replace it."""

    amqp: FleetAMQP
    _conf: Any

    def __init__(
        self,
        main: str | None = None,
        *,
        brokers: Brokers | Callable[[], Brokers],
        queues: Iterable[QueueSpec],
        tasks: Iterable[TaskSpec] = (),
        home: str | None = None,
        service: str | None = None,
        default_queue: str | None = None,
        defaults: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
        state: StateUrl | None = None,
        large_results: LargeResults | Callable[[], LargeResults] | None = None,
        large_arguments: LargeArguments | Callable[[], LargeArguments] | None = None,
        bounds: Bounds | Callable[[], Bounds] | None = None,
        chord_deadline: float | Callable[[], float] = DEADLINE_SECONDS,
        message_version: int = FIRST_VERSION,
        **options: Any,
    ) -> None:
        self._brokers = brokers
        self._state = state
        self.state = State(state)
        self.delays = DelayTable(self.state)
        self.chords = ChordTable(self.state)
        self._chord_deadline = chord_deadline
        self._defaults = defaults or {}
        self._large_results = large_results
        self._large_arguments = large_arguments
        self._bounds = bounds or Bounds()
        self.message_version = message_version
        self.queue_table = table_of(queues)
        self.home = str(home or next(iter(self.queue_table.values())).broker)
        self.service = service
        self.routing = RoutingTable(
            {spec.name: spec.broker for spec in self.queue_table.values()},
            tasks,
            str(default_queue or self.default_worker_queues[0]),
        )
        self.subscribers = Subscribers()
        self.recorder: Recorder | None = None
        """Takes what is published in the place of the brokers; ``shared.testing.recording`` sets it."""
        self.acknowledging: Acknowledging | None = None
        """What this process, a worker or a child of one, has its messages acknowledged by."""
        self._joined: Broker | None = None
        self._prepared = PreparedCalls(self)
        self._loading = RLock()
        self._read: CheckedSettings | None = None
        """The settings, once they are read."""
        super().__init__(main, **{"set_as_current": False, **options})
        self._conf = self._unread_settings()
        add_scatter(self)

    @cached_property
    def large_results(self) -> LargeResults | None:
        """Where large results lie; ``None`` when all lie in the result store."""
        return self._large_results() if callable(self._large_results) else self._large_results

    @cached_property
    def large_arguments(self) -> LargeArguments | None:
        """Where large arguments lie; ``None`` when all travel in messages."""
        return self._large_arguments() if callable(self._large_arguments) else self._large_arguments

    @cached_property
    def bounds(self) -> Bounds:
        """How large a message may be, and how many may wait for their time."""
        return self._bounds() if callable(self._bounds) else self._bounds

    @cached_property
    def chord_deadline(self) -> float:
        """How many seconds a chord has for which no deadline is given."""
        return self._chord_deadline() if callable(self._chord_deadline) else self._chord_deadline

    @property
    def default_worker_queues(self) -> tuple[str, ...]:
        """The queues of a worker without ``-Q``: those that the app's service has on its home broker.

        Raises:
            InvalidTable: There are none.
        """
        names = tuple(
            name
            for name, spec in self.queue_table.items()
            if spec.broker == self.home and self.service in (None, spec.service)
        )
        if not names:
            raise InvalidTable(f"No queue of service {self.service!r} is on the home broker {self.home!r}.")
        return names

    def set_current(self) -> None:
        """Make this the app of signatures that have none, here and in every thread that has no app of its own.

        A client calls it once; importing an app makes none current.
        """
        super().set_current()
        self.set_default()

    def send_task(
        self,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        countdown: float | None = None,
        eta: Any = None,
        *rest: Any,
        **options: Any,
    ) -> AsyncResult:
        """Publish a task to the broker that owns its queue; every publish of the fleet passes here.

        ``delay`` and ``apply_async``, chain steps, chord bodies, callbacks, errbacks, retries, ``replace``, beat
        and calls from inside tasks all do.  It takes what ``Celery.send_task`` takes, and ``broker``, an alias or
        a URL that must be the owner of the queue.

        With a countdown or an eta the message waits in shared state, where the fleet has that, and is published by
        whichever process of the fleet finds it due.

        Raises:
            UnknownTask, UnknownQueue, UnknownBroker, MisroutedQueue, InvalidPriority: Nothing was sent.
            MessageTooLarge: It is larger than ``bounds`` allow; nothing was sent.  It is a
                ``kombu.exceptions.EncodeError`` too.
            PublishFailed: The broker did not take the message within some seconds; ``sent`` says whether it may
                have arrived.  It is a ``kombu.exceptions.OperationalError`` too.
        """
        self._refuse_unknown(name)
        options.pop("deadline", None)  # a chord's, which Celery gives its members as well
        kind = None if countdown or eta or rest else self._prepared.kind_of(name, options)
        if kind is not None and (sent := self._prepared.send(kind, args, kwargs, options)) is not None:
            return sent
        with publication() as cell, as_publish_failed(lambda: cell.broker or self.broker):
            if self.recorder is not None:
                return self.recorder.send(super().send_task, name, args, kwargs, countdown, eta, *rest, **options)
            if self.state.configured and self.conf.task_protocol == 2 and not waits_in_a_worker():
                cell.delay = Delay.of(countdown, eta, self.timezone) or (AT_ONCE if firing_under_way() else None)
            if cell.delay:
                # Celery would look for a way to delay it on the broker.
                countdown = eta = None
            sent = super().send_task(name, args, kwargs, countdown, eta, *rest, **options)
            if kind is not None:
                self._prepared.learn(kind, cell.sample)
            return sent

    def stored(self, value: Any) -> Reference:
        """Put a large argument into storage, and return what stands for it in the message.

        The task gets the value itself.  What this returns may be an argument of any number of tasks, in any canvas,
        for as long as arguments are kept.

        Args:
            value: JSON, as large as a worker has memory for.

        Raises:
            ConfigurationError: This app has no storage.  Nothing was written.
            ArgumentNotStored: Storage does not take it.
            kombu.exceptions.EncodeError: It is no JSON.
        """
        if self.large_arguments is None:
            raise ConfigurationError(
                f"App {self.main!r} has no storage for large arguments: give its FleetCelery large_arguments=, over "
                "the storage of the workers."
            )
        return self.large_arguments.put(value)

    def large_arguments_of(self, task: str) -> LargeArguments | None:
        """Return where the arguments of a task go by themselves when its message would be too large, if they do."""
        spec, own = self.routing.tasks.get(task), self._tasks.get(task)
        takes = (spec is not None and spec.large_arguments) or getattr(own, "large_arguments", False)
        return self.large_arguments if takes else None

    def hides_arguments(self, task: str) -> bool:
        """Tell whether the arguments of a task are shown to nobody, as the table or ``hide_arguments`` of it says."""
        spec, own = self.routing.tasks.get(task), self._tasks.get(task)
        return bool((spec is not None and spec.hide_arguments) or getattr(own, "hide_arguments", False))

    def signature(self, *args: Any, **options: Any) -> Any:
        """Make a signature of this app's, as ``celery.signature`` does."""
        return signature(*args, **{**options, "app": self})

    @property
    def backend(self) -> Any:
        """The result store, in whose place a recording (see ``shared.testing``) puts one that keeps nothing."""
        return super().backend if self.recorder is None else self.recorder.backend

    @cached_property
    def AsyncResult(self) -> type:  # noqa: N802
        """The class of results."""
        handle: type = self.subclass_with_self(
            "shared.results.handle:FleetResult", "AsyncResult", reverse="AsyncResult"
        )
        return handle

    @cached_property
    def GroupResult(self) -> type:  # noqa: N802
        """The class of the results of groups."""
        group: type = self.subclass_with_self(
            "shared.results.handle:FleetGroupResult", "GroupResult", reverse="GroupResult"
        )
        return group

    @cached_property
    def Worker(self) -> type:  # noqa: N802
        """The worker class, which joins the broker of its queues."""
        worker: type = self.subclass_with_self("shared.worker.controller:FleetWorker", name="Worker")
        return worker

    def close(self) -> None:
        """Close the connections of this app and forget it."""
        if "amqp" in self.__dict__:
            self.amqp.pools.close()
        close_store(self._backend_cache)
        self.state.close()
        super().close()

    def __reduce_keys__(self) -> dict[str, Any]:
        """Return what makes an equal app in a spawned child process."""
        return {
            **super().__reduce_keys__(),
            "brokers": self._brokers,
            "queues": tuple(self.queue_table.values()),
            "tasks": tuple(self.routing.tasks.values()),
            "home": self.home,
            "service": self.service,
            "default_queue": self.routing.default_queue,
            "defaults": self._defaults,
            "state": self._state,
            "large_results": self._large_results,
            "large_arguments": self._large_arguments,
            "bounds": self._bounds,
            "chord_deadline": self._chord_deadline,
            "message_version": self.message_version,
        }

    def _task_from_fun(self, fun: Any, name: str | None = None, base: type | None = None, **options: Any) -> Any:
        return super()._task_from_fun(fun, name=name, base=fleet_base(base) if base else None, **options)

    def _refuse_unknown(self, task: str) -> None:
        if task in self.routing.tasks or task in self._tasks:
            return
        known = {*self.routing.tasks, *self.tasks}
        if task not in known:
            raise UnknownTask.named(task, known, " Add it to the task table, or import the module that defines it.")

    def _load_config(self) -> Any:
        with self._loading, as_usage_error():
            if self._conf is None or self._conf is not self._read:  # else another thread was first
                self._read = self._read_settings()
            return self._read

    def _read_settings(self) -> CheckedSettings:
        fleet = {
            **FLEET_DEFAULTS,
            "broker_url": self.brokers[self.home].url.get_secret_value(),
            "task_default_queue": self.routing.default_queue,
            **(self._defaults() if callable(self._defaults) else self._defaults),
        }
        if self._conf is None:  # ``config_from_object`` was called when they had been read
            self._conf = self._unread_settings()
        self._conf.on_reading_add_below(fleet)
        conf: CheckedSettings = super()._load_config()
        try:
            conf.refuse_unknown()
        except UnknownSetting:
            # Not half configured: the next to ask is refused as well.
            self.configured, self._conf = False, self._unread_settings()
            raise
        return conf

    def _unread_settings(self) -> CheckedSettings:
        pending = PendingConfiguration(self._preconf, self._finalize_pending_conf)
        return CheckedSettings(pending, prefix=self.namespace, keys=(_old_key_to_new, _new_key_to_old))

    def _get_backend(self) -> Any:
        return open_store(self)

    def _after_fork(self) -> None:
        super()._after_fork()
        if "amqp" in self.__dict__:
            self.amqp.pools.start_afresh()


def table_of(queues: Iterable[QueueSpec]) -> dict[str, QueueSpec]:
    """Return the queue table by name of queue.

    Raises:
        InvalidTable: It is empty, or two rows have the same name.
    """
    specs = tuple(queues)
    table = {spec.name: spec for spec in specs}
    if not table:
        raise InvalidTable("The queue table is empty.")
    if len(table) < len(specs):
        raise InvalidTable("Two rows of the queue table have the same name.")
    return table
