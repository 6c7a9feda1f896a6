"""What the workers of a scenario must know; they get it in one variable of their environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "CHAOS_SETUP"
QUEUE = "chaos.work"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One broker, one queue on it, and a folder for records of what is executed."""

    broker: str
    """Its URL."""
    records: Path
    quorum: bool = False
    """Whether the queue is a quorum queue; RabbitMQ only."""
    state: str | None = None
    """URL of the fleet's shared state."""
    options: Mapping[str, Any] | None = None
    """Transport options."""
    worker: str = "publisher"
    """Who reads this."""

    def environment(self, worker: str) -> dict[str, str]:
        """Return the variable for a worker."""
        fields = {**asdict(self), "records": str(self.records), "worker": worker}
        return {VARIABLE: json.dumps(fields)}


def load_setup() -> Setup:
    """Read the set-up of this process."""
    fields = json.loads(os.environ[VARIABLE])
    return Setup(**{**fields, "records": Path(fields["records"])})
