"""The errors that Switchyard raises on purpose; those of one module alone stand there, below the same root.

::

    FleetError
    ├── ConfigurationError            nothing was sent
    │   ├── InvalidSettings           a value in the environment does not fit
    │   ├── InvalidTable              a table of brokers, queues or tasks contradicts itself
    │   ├── UnknownSetting            a Celery setting that does not exist
    │   └── MixedBrokers              one worker was asked to serve queues of two brokers
    └── PublishError                  has ``sent``: "no" or "unknown"
        ├── UnknownName               nothing was sent
        │   ├── UnknownBroker
        │   ├── UnknownQueue
        │   └── UnknownTask
        ├── InvalidPriority           nothing was sent
        └── MisroutedQueue            a route or call names a broker that does not own its queue; nothing was sent
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal


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
    """Any error of Switchyard's own."""


class ConfigurationError(FleetError):
    """The fleet was described or configured wrongly; nothing was sent."""


class InvalidSettings(ConfigurationError):
    """A value in the environment does not fit its setting."""


class InvalidTable(ConfigurationError):
    """A table of brokers, queues or tasks contradicts itself."""


class UnknownSetting(ConfigurationError):
    """A Celery setting that does not exist, with the right spelling where there is one."""

    def __init__(self, setting: str, spelt: str, known: Iterable[str]) -> None:
        super().__init__(f"Celery has no setting {setting!r}.{did_you_mean(spelt, known)}")


class MixedBrokers(ConfigurationError):
    """One worker was asked to serve queues of more than one broker."""


class PublishError(FleetError):
    """A message was not accepted; ``sent`` says whether it may be in a broker all the same."""

    sent: Literal["no", "unknown"] = "no"


class UnknownName(PublishError):
    """A name that no table knows; nothing was sent."""

    noun = "name"

    def __init__(self, name: str, known: Iterable[str], hint: str = "") -> None:
        self.name = str(name)
        super().__init__(f"No {self.noun} is called {self.name!r}.{did_you_mean(self.name, known)}{hint}")


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


class MisroutedQueue(PublishError):
    """A route or a call names a broker that does not own its queue; nothing was sent."""
