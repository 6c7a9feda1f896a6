"""What was published, and assertions about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload
from unittest.mock import ANY

from celery import Signature

from shared.errors import UnknownBroker, UnknownName, UnknownQueue, UnknownTask
from shared.testing.wanted import FIELDS, Wanted, as_decoded, listed

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTask:
    """One task as its worker would get it, and how it was called."""

    name: str
    args: list[Any]
    """Decoded from the message: tuples have become lists."""
    kwargs: dict[str, Any]
    queue: str
    broker: str
    """The alias of the queue's owner."""
    priority: int
    """0 … 9, 9 the most urgent."""
    options: Mapping[str, Any] = field(repr=False)
    """What the call or the task's class said besides: ``countdown``, ``expires``, ``link``, ``group_id`` and so on."""
    headers: Mapping[str, Any] = field(repr=False)
    """Of the message: ``id``, ``eta`` (text), ``retries``, ``timelimit``, stamps and so on."""

    @property
    def id(self) -> str:
        """The id of the task."""
        return str(self.headers["id"])

    @property
    def then(self) -> tuple[Signature, ...]:
        """The later steps of its chain in their order; a worker publishes each when the one before has ended."""
        return tuple(Signature.from_dict(step) for step in reversed(self.options.get("chain", ())))


class Recording(Sequence[PublishedTask]):
    """The tasks that were published, in order.

    Args:
        apps: The apps that publish; names that none of them knows are refused in assertions.
    """

    def __init__(self, apps: Sequence[FleetCelery]) -> None:
        self._apps = apps
        self._published: list[PublishedTask] = []

    @overload
    def __getitem__(self, index: int) -> PublishedTask: ...

    @overload
    def __getitem__(self, index: slice) -> list[PublishedTask]: ...

    def __getitem__(self, index: int | slice) -> PublishedTask | list[PublishedTask]:
        return self._published[index]

    def __iter__(self) -> Iterator[PublishedTask]:
        return iter(self._published)

    def __len__(self) -> int:
        return len(self._published)

    def __repr__(self) -> str:
        return f"<Recording: {listed(self._published)}>"

    def keep(self, task: PublishedTask) -> None:
        """Add a task."""
        self._published.append(task)

    def clear(self) -> None:
        """Forget what was published so far."""
        self._published.clear()

    def assert_published(
        self,
        task: Any,
        *,
        args: Any = ANY,
        kwargs: Any = ANY,
        queue: str = ANY,
        broker: str = ANY,
        priority: int = ANY,
        times: int | None = None,
        **options: Any,
    ) -> PublishedTask:
        """Fail unless a task was published as described; what is left out may be anything.

        Args:
            task: The task or its name.
            args: All positional arguments; ``unittest.mock.ANY`` stands for any one of them.
            kwargs: All keyword arguments.
            queue: Name of the queue.
            broker: Alias of the broker.
            priority: 0 … 9.
            times: How many such messages there are, from 1; any number by default.
            options: Other options of the call, such as ``countdown=60``; ``None`` is one that was not given.

        Returns:
            The first that fits.

        Raises:
            AssertionError: Nothing fits, or not as often; the text lists what was published and where that differs.
            UnknownTask, UnknownQueue, UnknownBroker: The apps know no such name, so the test can't be right.
        """
        __tracebackhide__ = True
        wanted = self._wanted(task, (args, kwargs, queue, broker, priority), options)
        fitting = self._fitting(wanted)
        if not fitting or times not in (None, len(fitting)):
            raise AssertionError(wanted.failure(self, f"{len(fitting)} fit, wanted {times or 'at least 1'}"))
        return fitting[0]

    def assert_not_published(
        self,
        task: Any = None,
        *,
        args: Any = ANY,
        kwargs: Any = ANY,
        queue: str = ANY,
        broker: str = ANY,
        priority: int = ANY,
        **options: Any,
    ) -> None:
        """Fail when a task, or any task when none is named, was published as described.

        Its arguments are those of ``assert_published``.

        Raises:
            AssertionError: One was; the text lists what was published.
            UnknownTask, UnknownQueue, UnknownBroker: The apps know no such name, so the test can't be right.
        """
        __tracebackhide__ = True
        wanted = self._wanted(task, (args, kwargs, queue, broker, priority), options)
        if fitting := self._fitting(wanted):
            raise AssertionError(wanted.failure(self, f"{len(fitting)} fit, wanted none"))

    def _fitting(self, wanted: Wanted) -> list[PublishedTask]:
        return [published for published in self._published if not wanted.differences(published)]

    def _wanted(self, task: Any, fields: Sequence[Any], options: Mapping[str, Any]) -> Wanted:
        said = {**dict(zip(FIELDS, fields, strict=True)), **options}
        name = None if task is None else str(task if isinstance(task, str) else task.name)
        refuse_unknown(UnknownTask, name, (each for app in self._apps for each in (*app.routing.tasks, *app.tasks)))
        refuse_unknown(UnknownQueue, said["queue"], (each for app in self._apps for each in app.queue_table))
        refuse_unknown(UnknownBroker, said["broker"], (each for app in self._apps for each in app.brokers))
        return Wanted(name, {field: as_decoded(value) for field, value in said.items() if value is not ANY})


def refuse_unknown(error: type[UnknownName], name: Any, known: Iterable[str]) -> None:
    """Refuse a name that no table has, for an assertion about it would pass or fail for the wrong reason.

    Raises:
        UnknownName: It is said and not known.
    """
    names = set(known)
    if name is not None and name is not ANY and name not in names:
        raise error.named(str(name), names)
