"""Waiting for a result in a store that has to be asked for it, over and over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery.exceptions import BackendGetMetaError, TimeoutError  # noqa: A004 - the one that get() raises
from celery.states import READY_STATES

from shared.deadlines import at_most
from shared.results.store import AT_LEAST_SECONDS, OUT_OF_REACH_SECONDS, FleetStore


class PollingStore(FleetStore):
    """Waits as long as it was told to, whatever the server does in the meantime."""

    get_task_meta: Callable[[str], dict[str, Any]]

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,  # noqa: ARG002 - Celery's signature
        on_interval: Callable[[], Any] | None = None,
    ) -> dict[str, Any]:
        """Wait for the outcome of a task, also over an outage of the server.

        Args:
            task_id: The task.
            timeout: Seconds to wait; ``None`` for ever.
            interval: Seconds between two looks.
            no_ack: Means nothing here.
            on_interval: Called after each look.

        Raises:
            TimeoutError: There is no outcome within the timeout; says so when the server was out of reach at the end.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            left = OUT_OF_REACH_SECONDS if ends is None else max(ends - time.monotonic(), AT_LEAST_SECONDS)
            failure: BackendGetMetaError | None = None
            try:
                with at_most(left):
                    meta = self.get_task_meta(task_id)
            except BackendGetMetaError as error:
                failure = error
            else:
                if meta["status"] in READY_STATES:
                    return meta
            if on_interval:
                on_interval()
            nap = interval if ends is None else min(interval, ends - time.monotonic())
            if nap <= 0:
                raise TimeoutError(f"No result within {timeout:g} s{f': {failure}' if failure else ''}.")
            time.sleep(nap)
