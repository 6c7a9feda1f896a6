"""The proof of the promises: a fleet of its own under load and faults, and a count of what came out of it."""

from __future__ import annotations
