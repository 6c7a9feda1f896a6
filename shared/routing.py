"""Which broker a message goes to, as a pure function of tables: no broker client is imported here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.errors import InvalidTable, MisroutedQueue, MixedBrokers, UnknownQueue
from shared.priorities import Priority, checked


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """Where a task goes when nobody says otherwise."""

    name: str
    queue: str
    priority: int = Priority.NORMAL
    large_arguments: bool = False
    """Whether its arguments go to storage by themselves when its message would be too large."""
    hide_arguments: bool = False
    """Whether its arguments are shown to nobody: not in events, in the history, in logs, nor by remote control."""


class RoutingTable:
    """Which broker owns each queue, and where each task goes by default.

    Args:
        owners: The alias of the owning broker, by queue.
        tasks: The tasks of the fleet.
        default_queue: The queue of a task that neither the table nor a route names.

    Raises:
        InvalidTable: A task or the default names a queue that nobody owns.
    """

    def __init__(self, owners: Mapping[str, str], tasks: Iterable[TaskSpec], default_queue: str) -> None:
        self.owners = {str(queue): str(broker) for queue, broker in owners.items()}
        self.tasks = {task.name: task for task in tasks}
        self.default_queue = default_queue
        for who, queue in [(f"Task '{task.name}'", task.queue) for task in self.tasks.values()] + [
            ("The default", default_queue)
        ]:
            if queue not in self.owners:
                raise InvalidTable(f"{who} goes to queue '{queue}', which is not in the queue table.")
        for task in self.tasks.values():
            checked(task.priority)

    def owner(self, queue: str) -> str:
        """Return the alias of the broker that owns a queue.

        Raises:
            UnknownQueue: No broker owns it.  Nothing was sent.
        """
        try:
            return self.owners[queue]
        except KeyError:
            raise UnknownQueue.named(queue, self.owners) from None

    def destination(self, queue: str, broker: str | None) -> str:
        """Return the owner of a queue, having checked it against the broker that a route or a call names.

        Raises:
            UnknownQueue: No broker owns the queue.  Nothing was sent.
            MisroutedQueue: Another broker than the named one owns it.  Nothing was sent.
        """
        owner = self.owner(queue)
        if broker is not None and broker != owner:
            raise MisroutedQueue(
                f"Queue '{queue}' belongs to broker '{owner}', not to '{broker}'. "
                f"Leave out the broker, or name a queue of '{broker}': {', '.join(self.queues_of(broker))}."
            )
        return owner

    def queues_of(self, broker: str) -> tuple[str, ...]:
        """Return the names of the queues that a broker owns."""
        return tuple(queue for queue, owner in self.owners.items() if owner == broker)

    def queue(self, task: str) -> str | None:
        """Return the queue of a task of the table, ``None`` for any other."""
        spec = self.tasks.get(task)
        return spec.queue if spec else None

    def priority(self, task: str) -> int:
        """Return the priority of a task when neither the call nor a route says one."""
        spec = self.tasks.get(task)
        return spec.priority if spec else Priority.NORMAL

    def the_one_broker(self, queues: Iterable[str]) -> str:
        """Return the broker that owns all the given queues, of which there is at least one.

        Raises:
            UnknownQueue: No broker owns one of them.
            MixedBrokers: They belong to more than one broker.
        """
        owners = {queue: self.owner(queue) for queue in queues}
        brokers = sorted(set(owners.values()))
        if len(brokers) > 1:
            raise MixedBrokers(
                "A worker serves queues of one broker, but these are on "
                f"{len(brokers)}: {', '.join(f'{queue} on {owner}' for queue, owner in owners.items())}. "
                "Start a worker for each broker."
            )
        return brokers[0]
