"""What is asked of the witness, and how it is written: a line of JSON for each question and each answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from services.core.chaos.receipts import CampaignReceipt, JobReceipt, MailReceipt, Receipts
from services.core.chaos.tally import Tally


class Question(StrEnum):
    """What can be asked."""

    LOOK = "look"
    """What is in flight in a process, and how much it has ended."""
    ARRIVED = "arrived"
    """How many messages have arrived."""
    CHECK = "check"
    """What became of what was accepted."""
    DEAD_LETTERS = "dead letters"
    """How many dead letters there are."""


def dump_receipts(receipts: Receipts) -> dict[str, Any]:
    """Write receipts as JSON has them."""
    return asdict(receipts)


def load_receipts(plain: Mapping[str, Any]) -> Receipts:
    """Read receipts that were written."""
    return Receipts(
        campaigns=[CampaignReceipt(item["id"], tuple(item["addresses"])) for item in plain["campaigns"]],
        jobs=[JobReceipt(item["id"], tuple(item["files"]), item["notify"]) for item in plain["jobs"]],
        mails=[MailReceipt(item["id"], item["address"]) for item in plain["mails"]],
        refused=list(plain["refused"]),
    )


def dump_tally(tally: Tally) -> dict[str, Any]:
    """Write a count as JSON has it."""
    return {**asdict(tally), "failed": dict(tally.failed)}


def load_tally(plain: Mapping[str, Any]) -> Tally:
    """Read a count that was written."""
    return Tally(**{**plain, "failed": Counter(plain["failed"])})
