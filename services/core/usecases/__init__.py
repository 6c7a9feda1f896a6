"""What ``core`` does, one verb per module; each changes the ledger and publishes nothing.

What is to be published comes back as plain data, so that a use case can be run again after a crash.
"""

from __future__ import annotations
