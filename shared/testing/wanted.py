"""What an assertion asks for, and the text of its failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.testing.published import PublishedTask

FIELDS = ("args", "kwargs", "queue", "broker", "priority")
SHOWN_AT_MOST = 20
"""Published tasks in a failure message."""

short = Repr()
short.maxstring = short.maxother = short.maxlong = 200
short.maxlist = short.maxtuple = short.maxdict = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task, or any, with some of its fields and options."""

    task: str | None
    said: Mapping[str, Any]

    def differences(self, published: PublishedTask) -> list[str]:
        """Say in which ways a published task is not the wanted one; none when it is."""
        if self.task not in (None, published.name):
            return ["another task"]
        found = {name: actual(published, name) for name in self.said}
        return [f"{name} is {short.repr(found[name])}" for name, value in self.said.items() if value != found[name]]

    def failure(self, published: Sequence[PublishedTask], verdict: str) -> str:
        """Return the text of a failed assertion: what was wanted, and what differs in each published task."""
        said = "".join(f", {name}={short.repr(value)}" for name, value in self.said.items())
        return f"{self.task or 'any task'}{said}: {verdict}.\nPublished: {listed(published, self)}"


def listed(published: Sequence[PublishedTask], wanted: Wanted | None = None) -> str:
    """Return a line for each task, and below it what differs from a wanted one."""
    if not published:
        return "nothing"
    lines = [str(len(published))]
    for number, task in enumerate(published[:SHOWN_AT_MOST], 1):
        lines.append(
            f"  {number}. {task.name}  args={short.repr(task.args)}  kwargs={short.repr(task.kwargs)}  "
            f"queue={task.queue}  broker={task.broker}  priority={task.priority}"
        )
        if wanted is not None:
            lines.append(f"     {'; '.join(wanted.differences(task)) or 'fits'}")
    if len(published) > SHOWN_AT_MOST:
        lines.append(f"  … and {len(published) - SHOWN_AT_MOST} more")
    return "\n".join(lines)


def actual(published: PublishedTask, name: str) -> Any:
    """Return a field of a published task, or one of the options of its call."""
    return getattr(published, name) if name in FIELDS else as_decoded(published.options.get(name))


def as_decoded(value: Any) -> Any:
    """Return a value as it comes out of a message: with lists for tuples, however deep."""
    if isinstance(value, list | tuple):
        return [as_decoded(item) for item in value]
    if isinstance(value, dict):
        return {name: as_decoded(item) for name, item in value.items()}
    return value
