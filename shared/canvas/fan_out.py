"""One call for each item, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from celery import Signature, Task, group, xmap, xstarmap

from shared.bulk import bulk
from shared.canvas.signatures import ImmutableSignature

Each: TypeAlias = Task | Signature | Callable[..., Signature]
"""What is called for each item: a task, a signature that takes the item first, or a function that makes a signature."""


class FanOut(group):
    """A group that is published in bulk; as a part of another canvas, and in a message, it is a plain group."""

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Publish all calls, some hundred of them at once.

        Returns:
            A ``GroupResult``.

        Raises:
            PublishFailed: A broker did not take some of them, others may run.
        """
        with bulk():
            return super().apply_async(*args, **options)


def map(each: Each, items: Iterable[Any]) -> FanOut:  # noqa: A001 - a guide's name
    """Call something for each item, in parallel: ``map(send_email.s, emails)``.

    Args:
        each: A task, its ``s``, a signature that is given the item before its own arguments, or any function that
            makes a signature of an item.
        items: One argument for each call.

    Returns:
        A group, whose result is the list of all results in the order of the items.  Send it with ``delay()``, or
        build a canvas with it.

    Raises:
        ImmutableSignature: The signature takes no arguments.
        TypeError: ``each`` makes no signatures.
    """
    return FanOut([call(each, item) for item in items])


def starmap(each: Each, items: Iterable[Iterable[Any]]) -> FanOut:
    """Call something with the arguments of each item, in parallel: ``starmap(add.s, [(1, 2), (3, 4)])``.

    It is ``map`` otherwise.
    """
    return FanOut([call(each, *item) for item in items])


def chunks(sig: Signature, *, n: int) -> FanOut:
    """Call a task for each item of a list, with ``n`` items in one message: ``chunks(process.s(items), n=3)``.

    The messages are worked off in parallel, the items of one message one after the other; it is what
    ``process.chunks(zip(items), 3)`` of Celery does, with the options of the signature.

    Args:
        sig: Its first argument is the list; others go to every call, after the item.
        n: Items in one message.

    Returns:
        A group, whose result is a list of lists of results.

    Raises:
        ValueError: ``n`` is not positive.
        TypeError: The signature has no list, or keyword arguments, for which Celery's message has no room.
    """
    if n < 1:
        raise ValueError(f"A message holds one item at least, not {n}.")
    if sig.subtask_type or not sig.args or sig.kwargs:
        raise TypeError(
            f"chunks() takes the signature of one task whose first argument is the list, and that has no keyword "
            f"arguments: chunks(process.s(items), n={n}); not {sig!r}."
        )
    items, *others = sig.args
    task = sig.clone()
    task.update(args=(), options={})
    parts = batched(items, n)
    if others:
        calls = [xstarmap(task, [(item, *others) for item in part], app=sig._app, **sig.options) for part in parts]  # noqa: SLF001
    else:
        calls = [xmap(task, part, app=sig._app, **sig.options) for part in parts]  # noqa: SLF001
    return FanOut(calls)


def call(each: Each, *given: Any) -> Signature:
    """Return the signature of one call.

    Raises:
        ImmutableSignature: It takes no arguments.
        TypeError: ``each`` makes no signature.
    """
    if isinstance(each, Signature):
        return with_input(each, given)
    sig = each.s(*given) if isinstance(each, Task) else each(*given)
    if not isinstance(sig, Signature):
        raise TypeError(f"For each item there has to be a signature, and {each!r} made {sig!r}. Give a task, or its s.")
    return sig


def with_input(sig: Signature, given: Sequence[Any]) -> Signature:
    """Return a copy of a signature that is called with arguments before its own, as a step of a chain is.

    Celery's ``clone`` forgets those of a chain, a group or a chord.

    Raises:
        ImmutableSignature: It takes no arguments.
    """
    if sig.immutable:
        raise ImmutableSignature(f"{sig!r} is immutable: it takes no item. Make it with s() instead of si().")
    copy = sig.clone()
    if sig.subtask_type == "chain":
        copy.tasks = [with_input(copy.tasks[0], given), *copy.tasks[1:]]
    elif sig.subtask_type in ("group", "chord"):
        copy.tasks = [with_input(task, given) for task in copy.tasks]
    else:
        copy = sig.clone(given)
    return copy


def batched(items: Iterable[Any], n: int) -> Iterator[list[Any]]:
    """Yield items in lists of ``n``; the last may be shorter."""
    left = iter(items)
    while part := list(islice(left, n)):
        yield part
