"""Stamps by name and value, under any name.

Celery keeps a stamp among the options of a call, under its own name: a stamp called ``priority`` or ``retry`` becomes
the priority of the message, or the retrying of its publish.  A stamp of ours travels through signatures inside of one
of Celery's, and becomes one of its own when the message is made; there workers, monitors and
``revoke_by_stamped_headers`` find it.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from celery import Signature
from celery.app.task import Context
from celery.canvas import StampingVisitor

CARRIER = "fleet_stamps"
"""The stamp of Celery's that carries ours, by name."""
UNSAID: Any = object()


def stamp(sig: Signature, key: str, value: Any = UNSAID, **fields: Any) -> Signature:
    """Stamp a signature, and all that it is made of: steps, members, bodies, and the callbacks that it has so far.

    Each task finds it in ``self.request.stamps[key]``, also after a retry.  Stamped again under the same name, the new
    value holds; fields are added to those that are there.

    Args:
        sig: A signature of one task or a whole canvas, of whatever app.
        key: The name; names of options such as ``priority`` are as good as others.
        value: Anything that JSON can say.
        fields: Instead of a value: it is a dictionary then.

    Returns:
        The signature itself.

    Raises:
        TypeError: There is neither a value nor a field, or there are both.  Nothing was stamped.
    """
    if (value is UNSAID) != bool(fields):
        raise TypeError(f"Stamp {key!r} needs either a value or fields: stamp(sig, {key!r}, 'high').")
    sig.stamp(Stamping({key: fields if value is UNSAID else value}))
    return sig


class Stamping(StampingVisitor):
    """Puts the same stamps on every task that it visits."""

    def __init__(self, stamps: Mapping[str, Any]) -> None:
        self._stamps = stamps

    def on_signature(self, sig: Signature, **headers: Any) -> dict[str, Any]:  # noqa: ARG002 - Celery's signature
        """Return what is added to one signature, which Celery then changes."""
        return {CARRIER: deepcopy(dict(self._stamps))}


def unpack(headers: dict[str, Any]) -> None:
    """Make the stamps that a message carries its own."""
    carried = headers["stamps"].pop(CARRIER, None)
    if carried is not None:
        headers["stamps"].update(carried)
        headers["stamped_headers"] = list(headers["stamps"])


def packed(request: Context) -> Context:
    """Return a request from which a signature can be made again, whatever the names of its stamps are."""
    if not request.stamps:
        return request
    return Context({**vars(request), "stamps": {CARRIER: request.stamps}, "stamped_headers": [CARRIER]})
