"""The ledger: what became of every job, file, campaign, recipient and mail."""

from __future__ import annotations
