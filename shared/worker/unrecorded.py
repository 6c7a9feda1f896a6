"""Ends that the result store does not take now: who ends work without having run it gives the message back instead."""

from __future__ import annotations

from typing import Any

from shared.results.store import FleetStore

UNRECORDED = "The end of task %s can't be recorded now; its message goes back."


def may_be_recorded_later(backend: Any, error: Exception) -> bool:
    """Tell whether an end that was not recorded may be another time, for the store is only out of reach.

    What fails for another reason would fail each time that its message comes again.
    """
    return isinstance(backend, FleetStore) and backend.may_come_back(error)
