"""What ``yard`` ends with."""

from __future__ import annotations

OK = 0
"""Everything that was asked for is done."""
FAILED = 1
"""It was carried out, and some of it failed: a file, a recipient, a check."""
REFUSED = 2
"""What was asked for can't be; nothing was sent or changed."""
OUT_OF_REACH = 3
"""A broker, the ledger or the fleet does not answer; try again when it does."""
TIMED_OUT = 4
"""It goes on, but took longer than ``--timeout``; look at it with ``yard job``."""
INTERRUPTED = 130
"""Ctrl-C."""

TABLE = (
    "Exit codes: 0 done · 1 carried out, some of it failed · 2 refused, nothing was sent · "
    "3 broker, ledger or fleet out of reach · 4 still under way after --timeout · 130 interrupted"
)
