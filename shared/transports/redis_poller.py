"""How the loop of a process waits for messages from Redis."""

from __future__ import annotations

import time
from typing import Any

from kombu.transport import redis as kombu_redis

LOOK_EVERY_SECONDS = 1.0
"""How often a loop without a hub looks after its claims."""


class Poller(kombu_redis.MultiChannelPoller):
    """kombu's poller, which sees to it that no claim is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.turned = time.monotonic()
        """When the loop last came by."""
        self.broken: Exception | None = None
        """What went wrong on the connection beside the loop."""

    @property
    def waits(self) -> bool:
        """Whether a loop without a hub waits for something to read, and looks after nothing meanwhile."""
        return bool(self._in_protected_read)

    def get(self, callback: Any, timeout: float | None = None) -> Any:
        """Wait for a message, and look after claims meanwhile; the loop of greenlets would wait for two seconds."""
        return super().get(callback, LOOK_EVERY_SECONDS if timeout is None else min(timeout, LOOK_EVERY_SECONDS))

    def on_poll_start(self) -> None:
        """Send claims where there is room for messages.

        Raises:
            redis.ConnectionError: The connection has turned out to be broken.
        """
        self.turned = time.monotonic()
        broken, self.broken = self.broken, None
        if broken is not None and self._channels:  # the loop comes by here also when the connection is closed
            raise broken
        super().on_poll_start()
        for channel in list(self._channels):
            channel.look_after_claim()
