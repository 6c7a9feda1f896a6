"""What guides to Celery write, and Celery does not have; each is a signature like any other.

``map`` and ``starmap`` here are a parallel fan-out, one message for each item.  Those of a task (``send.map(items)``)
are Celery's own: one message, whose worker runs the items one after the other.
"""

from __future__ import annotations

from shared.canvas.fan_out import FanOut, chunks, map, starmap  # noqa: A004 - a guide's name
from shared.canvas.scattering import scatter
from shared.canvas.signatures import FleetSignature, ImmutableSignature, signature
from shared.canvas.stamps import stamp

__all__ = [
    "FanOut",
    "FleetSignature",
    "ImmutableSignature",
    "chunks",
    "map",
    "scatter",
    "signature",
    "stamp",
    "starmap",
]
