"""How much work a run has, and how it is spread over its time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from shared.errors import ConfigurationError

CAMPAIGNS = 10
"""A campaign is in several parts, so that lists are taken in at any time of a run."""
BEFORE_THE_END = 0.75
"""Which part of the time work is submitted in; faults go on to its end."""


class Scenario(StrEnum):
    """What work there is while faults happen."""

    CAMPAIGN = "campaign"
    FILES = "files"
    MIXED = "mixed"


class What(StrEnum):
    """A kind of submission."""

    CAMPAIGN = "campaign"
    JOB = "job"
    MAIL = "mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much work there is."""

    recipients: int
    files: int
    chords: int
    """File jobs; each is a chord of its share of the files."""
    mails: int
    """Single mails."""

    @classmethod
    def of(cls, scenario: Scenario, *, recipients: int, files: int, chords: int, mails: int) -> Amounts:
        """Return what a scenario takes of these.

        Raises:
            ConfigurationError: It takes nothing of them.
        """
        mailing = scenario is not Scenario.FILES
        filing = scenario is not Scenario.CAMPAIGN and min(files, chords) > 0
        amounts = cls(
            recipients=recipients if mailing else 0,
            mails=mails if mailing else 0,
            files=files if filing else 0,
            chords=min(chords, files) if filing else 0,
        )
        if not (amounts.recipients or amounts.mails or amounts.files):
            raise ConfigurationError(f"The scenario {scenario} has no work: give it recipients, or files and chords.")
        return amounts


@dataclass(frozen=True, slots=True)
class Submission:
    """One thing to submit."""

    at: float
    """Seconds after the start."""
    what: What
    number: int
    size: int
    """Recipients of a campaign, files of a job."""

    @classmethod
    def loads(cls, plain: Mapping[str, Any]) -> Self:
        """Make it again of what ``dataclasses.asdict`` made of it."""
        return cls(**{**plain, "what": What(plain["what"])})


def submissions(amounts: Amounts, seconds: float) -> tuple[Submission, ...]:
    """Spread the work of a run evenly over the first three quarters of its time, each kind for itself."""
    span = seconds * BEFORE_THE_END
    parts = {
        What.CAMPAIGN: list(_shares(amounts.recipients, CAMPAIGNS)),
        What.JOB: list(_shares(amounts.files, amounts.chords)),
        What.MAIL: [1] * amounts.mails,
    }
    return tuple(
        sorted(
            (
                Submission(span * at / len(sizes), what, at + 1, size)
                for what, sizes in parts.items()
                for at, size in enumerate(sizes)
            ),
            key=lambda submission: submission.at,
        )
    )


def _shares(total: int, parts: int) -> Iterator[int]:
    for part in range(parts):
        share = total // parts + (part < total % parts)
        if share:
            yield share
