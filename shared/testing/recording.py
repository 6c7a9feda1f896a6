"""A fleet that records what it would publish: every decision is the real one, and no broker is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from inspect import signature
from typing import TYPE_CHECKING, Any, NoReturn

from celery import Celery, states
from celery.backends.base import DisabledBackend
from kombu import Producer
from kombu.compression import decompress
from kombu.serialization import loads

from shared.brokers import Broker
from shared.errors import ConfigurationError
from shared.publishing import queue_of_publication
from shared.testing.published import PublishedTask, Recording

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

SEND_TASK = signature(Celery.send_task)
NOT_OPTIONS = frozenset(
    {
        # Fields of the record by themselves.
        *("self", "name", "args", "kwargs", "task_id", "queue", "broker", "priority"),
        # What Celery hands to itself.
        *("task_type", "producer", "publisher", "connection", "router", "result_cls", "add_to_parent", "route_name"),
        *("root_id", "parent_id", "reply_to", "replaced_task_nesting"),
    }
)

_options: ContextVar[Mapping[str, Any]] = ContextVar("options")


@contextmanager
def recording(*apps: FleetCelery) -> Iterator[Recording]:
    """Record what apps publish for the length of a ``with`` block, and send nothing.

    A message is routed, checked, encoded and refused as ever; only the brokers and the result store are left out.
    Every thread of the process is recorded.  Results stay ``PENDING``, and waiting for one raises.  Remote control is
    not recorded and goes out.

    Args:
        apps: The apps whose messages are kept, in the order of publishing, in one recording.

    Raises:
        ConfigurationError: ``task_always_eager`` is set, with which tasks run at once and nothing is published.
    """
    kept = Recording(apps)
    with ExitStack() as stack:
        for app in apps:
            if app.conf.task_always_eager:
                raise ConfigurationError(
                    f"App {app.main!r} has task_always_eager set: its tasks run at once, and there is nothing to "
                    "record. Leave it out."
                )
            stack.callback(setattr, app, "recorder", app.recorder)
            app.recorder = Recorder(app, kept)
        yield kept


class Recorder:
    """Stands where the brokers and the result store of one app would be."""

    def __init__(self, app: FleetCelery, kept: Recording) -> None:
        self.backend = UnusedResults(app)
        self._app = app
        self._kept = kept

    def send(self, send: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Pass a publish on, and remember the options of its call meanwhile."""
        call = dict(SEND_TASK.bind(None, *args, **options).arguments)
        call.update(call.pop("options", {}))
        said = {name: value for name, value in call.items() if name not in NOT_OPTIONS and is_said(value)}
        token = _options.set(said)
        try:
            return send(*args, **options)
        finally:
            _options.reset(token)

    def producer(self, broker: Broker) -> AbstractContextManager[RecordingProducer]:
        """Return a context with a producer that keeps what is published to a broker; it never connects."""
        connection = self._app.connection_for_write(broker.url.get_secret_value())
        return nullcontext(RecordingProducer(connection, broker, self._kept))


def is_said(value: Any) -> bool:
    """Tell whether an option says anything: Celery fills in ``None`` and empty lists."""
    return value is not None and value not in ([], ())


class RecordingProducer(Producer):
    """Encodes a message as ever, and keeps what a worker would decode."""

    def __init__(self, connection: Any, broker: Broker, kept: Recording) -> None:
        super().__init__(connection, auto_declare=False)
        self._broker = broker
        self._kept = kept

    def publish(
        self,
        body: Any,
        *,
        headers: dict[str, Any] | None = None,
        serializer: str | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        compression: str | None = None,
        priority: int = 0,
        **_: Any,
    ) -> None:
        """Keep a task; an event about it is left out.

        Raises:
            kombu.exceptions.EncodeError: An argument can't be encoded, so nothing would have been sent.
        """
        headers = dict(headers or {})
        queue = queue_of_publication()
        if queue is None or "task" not in headers:
            return
        data, content_type, encoding = self._prepare(
            body, serializer, content_type, content_encoding, compression, headers
        )
        if "compression" in headers:
            data = decompress(data, headers["compression"])
        args, kwargs, _embedded = loads(data, content_type, encoding, accept=[content_type])
        self._kept.keep(
            PublishedTask(
                name=headers["task"],
                args=args,
                kwargs=kwargs,
                queue=queue,
                broker=self._broker.alias,
                priority=int(priority),
                options=_options.get(),
                headers=headers,
            )
        )


class UnusedResults(DisabledBackend):
    """A result store in which every result is ``PENDING`` for ever, and that nobody can wait for."""

    def ensure_chords_allowed(self) -> None:
        """Allow them: their headers are published, which is all that is recorded."""

    def apply_chord(self, *args: Any, **options: Any) -> None:
        """Keep nothing of a chord."""

    def save_group(self, group_id: str, result: Any) -> Any:  # noqa: ARG002
        """Keep nothing of a group."""
        return result

    def forget(self, task_id: str) -> None:
        """Forget nothing."""

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Say what a result store says of a task that has not begun."""
        return {"task_id": task_id, "status": states.PENDING, "result": None}

    def wait_for_pending(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to wait.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "The task was recorded and not sent, so it will never have a result. "
            "Test the task by calling it, and what needs its result against real brokers."
        )

    wait_for = get_many = iter_native = wait_for_pending
