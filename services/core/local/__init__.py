"""A fleet on one machine: brokers of its own, a mail catcher, and a supervisor for every process."""

from __future__ import annotations
