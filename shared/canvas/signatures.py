"""The signature of one task, as guides use it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

from celery import Signature
from celery import signature as celery_signature

from shared.canvas.stamps import UNSAID, stamp
from shared.errors import FleetError


class ImmutableSignature(FleetError, AttributeError):
    """Arguments were to be given to a signature that takes none any more.  Nothing was changed."""


class FleetSignature(Signature):
    """Celery's signature of one task, which keeps its word when it is immutable, and takes stamps by name.

    ``s()``, ``si()`` and ``signature()`` of a fleet's tasks make these.  In a message it is a plain signature, which
    any Celery reads.
    """

    @property
    def args(self) -> Any:
        """The positional arguments.

        Raises:
            ImmutableSignature: Others are assigned to an immutable signature.
        """
        return self["args"]

    @args.setter
    def args(self, args: Any) -> None:
        self._refuse_if_immutable(tuple(args) != tuple(self["args"]))
        self["args"] = args

    @property
    def kwargs(self) -> Any:
        """The keyword arguments.

        Raises:
            ImmutableSignature: Others are assigned to an immutable signature.
        """
        return self["kwargs"]

    @kwargs.setter
    def kwargs(self, kwargs: Mapping[str, Any]) -> None:
        self._refuse_if_immutable(kwargs != self["kwargs"])
        self["kwargs"] = kwargs

    def replace(
        self, args: Any = None, kwargs: Mapping[str, Any] | None = None, options: dict[str, Any] | None = None
    ) -> Self:
        """Return a copy with other arguments or options; it may be one of an immutable signature."""
        copy: Self = self.clone()
        given = {"args": args, "kwargs": kwargs, "options": options}
        copy.update({key: value for key, value in given.items() if value is not None})
        return copy

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> Self:
        """Return a copy; the arguments given here come before its own, unless it is immutable.

        The members of a chord's header hold the body of it; Celery copies that as well, for each member anew.
        """
        if args or kwargs or options:
            args, kwargs, options = self._merge(args, kwargs, options)
        else:
            args, kwargs, options = self.args, self.kwargs, self.options
        own = {name: value if name == "chord" else deepcopy(value) for name, value in options.items()}
        copy = type(self).of(self)
        copy.update(args=tuple(args), kwargs=dict(kwargs), options=own)
        return copy

    partial = clone

    def stamp(self, visitor: Any = None, append_stamps: Any = UNSAID, **headers: Any) -> Self:
        """Stamp the signature, and the callbacks that it has so far.

        ``stamp("priority", "high")`` and ``stamp("retry", max_retries=5)`` are ``shared.canvas.stamp``; the latter
        can stamp chains, groups and chords too.  Everything else is Celery's: ``stamp(key=value)``, and visitors.

        Args:
            visitor: The name of a stamp, or a visitor.
            append_stamps: The value of the stamp; with a visitor, or none, what Celery takes it for.
            headers: The fields of the stamp; without a name, stamps by name.

        Returns:
            The signature itself.

        Raises:
            TypeError: A stamp has neither a value nor a field, or both.
        """
        if isinstance(visitor, str):
            stamp(self, visitor, append_stamps, **headers)
        else:
            super().stamp(visitor, append_stamps is not UNSAID and append_stamps, **headers)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return signature, (dict(self),)

    @classmethod
    def of(cls, sig: Signature) -> Self:
        """Return a signature of one task as one of these, with the same contents."""
        own = cls(sig, app=sig._app)  # noqa: SLF001 - as Celery's own clone does
        own._type = sig._type  # noqa: SLF001
        return own

    def _refuse_if_immutable(self, changes: bool) -> None:
        if changes and self.immutable:
            raise ImmutableSignature(
                f"The signature of {self.task!r} is immutable. Make one with s() instead of si(), or use replace()."
            )


def signature(*args: Any, **options: Any) -> Signature:
    """Make a signature as ``celery.signature`` does; that of one task is a ``FleetSignature``."""
    sig = celery_signature(*args, **options)
    return FleetSignature.of(sig) if type(sig) is Signature else sig
