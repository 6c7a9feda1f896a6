"""What became of what was accepted, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """A count of effects; each that was accepted is in exactly one of done, failed, unknown and lost."""

    accepted: int = 0
    done: int = 0
    """Seen from outside, once at least, and recorded as done."""
    failed: Counter[str] = field(default_factory=Counter)
    """Recorded as failed, by reason."""
    unknown: list[str] = field(default_factory=list)
    """Recipients of whom it is open whether they were sent to."""
    lost: list[str] = field(default_factory=list)
    """Without a record at the end, or recorded as done and never seen."""
    repeated: list[str] = field(default_factory=list)
    """Effects that were seen more often than once."""
    again: list[str] = field(default_factory=list)
    """Urgent mails that arrived again with the same Message-ID, which may happen: at least once."""
    contradicted: list[str] = field(default_factory=list)
    """Recorded as not done, and seen."""
    left_behind: list[str] = field(default_factory=list)
    """Partial folders that nobody works on any more."""

    @property
    def failures(self) -> int:
        """How many failed with a record."""
        return self.failed.total()

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and no effect repeated."""
        return not (self.lost or self.repeated)
