"""The errors that Switchyard raises on purpose; those of one module alone stand there, below the same root.

::

    FleetError
    ├── ConfigurationError            nothing was sent
    │   ├── InvalidSettings           a value in the environment does not fit
    │   ├── InvalidResultStore        a URL that leads to no result store
    │   ├── InvalidTable              a table of brokers, queues or tasks contradicts itself
    │   ├── UnknownSetting            a Celery setting that does not exist
    │   └── MixedBrokers              one worker was asked to serve queues of two brokers
    ├── ResultStoreOutOfReach         it does not answer who asks what became of a task
    ├── ResultUnavailable             a large result can't be read from storage here
    ├── ArgumentUnavailable           a large argument can't be read from storage here
    ├── LostAfterAcknowledgement      the failure of a task that died when its message was acknowledged already
    ├── DeadLettered                  a message was taken out of circulation, and is kept as a dead letter
    │   ├── BadMessage                it is not that of a task
    │   ├── PoisonTask                its task took its process with it too often
    │   └── Undeliverable             its broker did not take it when its time had come
    └── PublishError                  has ``sent``: "no" or "unknown"
        ├── PublishFailed             the broker did not take the message in time (shared.producers)
        ├── NotReplayable             a dead letter that can't be published again; nothing was sent (shared.replaying)
        ├── UnknownName               nothing was sent
        │   ├── UnknownBroker
        │   ├── UnknownQueue
        │   └── UnknownTask
        ├── InvalidPriority           nothing was sent
        ├── MessageTooLarge           its arguments belong into storage; nothing was sent (shared.message_size)
        ├── ArgumentNotStored         storage does not take a large one; nothing was sent (shared.arguments)
        ├── UnenforceableTimeLimit    the pool of the queue can't hold it; nothing was sent
        └── MisroutedQueue            a route or call names a broker that does not own its queue; nothing was sent
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, Self


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known name is closest to a misspelt one, or list what there is when it is little."""
    candidates = sorted({str(candidate) for candidate in known})
    close = get_close_matches(name, candidates, n=1, cutoff=0.5)
    if close:
        return f" Did you mean {close[0]!r}?"
    if 0 < len(candidates) <= 12:
        return f" Known: {', '.join(candidates)}."
    return ""


class FleetError(Exception):
    """Any error of Switchyard's own; it arrives in another process as it was raised."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[FleetError], arguments: tuple[Any, ...], state: dict[str, Any]) -> FleetError:
    """Make an error anew without its ``__init__``, whose parameters may differ from what ``args`` holds."""
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(state)
    return error


class ConfigurationError(FleetError):
    """The fleet was described or configured wrongly; nothing was sent."""


class InvalidSettings(ConfigurationError):
    """A value in the environment does not fit its setting."""


class InvalidResultStore(ConfigurationError):
    """A URL leads to no result store; the message says how it is spelt, and shows nothing of it."""


class InvalidTable(ConfigurationError):
    """A table of brokers, queues or tasks contradicts itself."""


class UnknownSetting(ConfigurationError):
    """A Celery setting that does not exist, with the right spelling where there is one."""

    @classmethod
    def named(cls, setting: str, spelt: str, known: Iterable[str]) -> Self:
        """Make the error for a setting, with the known one that is spelt most alike."""
        return cls(f"Celery has no setting {setting!r}.{did_you_mean(spelt, known)}")


class MixedBrokers(ConfigurationError):
    """One worker was asked to serve queues of more than one broker."""


class ResultStoreOutOfReach(FleetError):
    """The result store does not answer; what became of a task can be asked again when it does."""


class ResultUnavailable(FleetError):
    """A large result can't be read: it has expired, or this process does not see the storage that it lies in."""


class ArgumentUnavailable(FleetError):
    """A large argument can't be read: it was removed, or this process does not see the storage that it lies in.

    Stored as the failure of its task, which has not run.
    """


class LostAfterAcknowledgement(FleetError):
    """A task was acknowledged before it was done, and died; nobody runs it again.  Stored as its failure."""


class DeadLettered(FleetError):
    """A message was taken out of circulation, and is kept as a dead letter.  Stored as the failure of its task."""


class BadMessage(DeadLettered):
    """A message is not that of a task: undecodable, or with values that no task has."""


class PoisonTask(DeadLettered):
    """A task took its process with it as often as its queue allows; it is not tried again."""


class Undeliverable(DeadLettered):
    """A delayed message was refused by its broker when it was due, as often as it was tried; it never ran."""


class PublishError(FleetError):
    """A message was not accepted; ``sent`` says whether it may be in a broker all the same."""

    sent: Literal["no", "unknown"] = "no"


class UnknownName(PublishError):
    """A name that no table knows; nothing was sent."""

    noun: ClassVar = "name"

    @classmethod
    def named(cls, name: str, known: Iterable[str], hint: str = "") -> Self:
        """Make the error for a name, with the known one that is spelt most alike."""
        return cls(f"No {cls.noun} is called '{name}'.{did_you_mean(str(name), known)}{hint}")


class UnknownBroker(UnknownName):
    """A broker that the fleet does not have; nothing was sent."""

    noun = "broker"


class UnknownQueue(UnknownName):
    """A queue that no broker of the fleet owns; nothing was sent."""

    noun = "queue"


class UnknownTask(UnknownName):
    """A task that neither the task table nor the app knows; nothing was sent."""

    noun = "task"


class InvalidPriority(PublishError):
    """A priority outside 0 … 9; nothing was sent."""


class UnenforceableTimeLimit(PublishError):
    """The pool of the queue can't hold a time limit of the call; nothing was sent."""


class MisroutedQueue(PublishError):
    """A route or a call names a broker that does not own its queue; nothing was sent."""
