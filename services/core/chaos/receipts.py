"""What was accepted: the receipts against which everything is reconciled."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CampaignReceipt:
    """A campaign that was taken."""

    id: str
    addresses: tuple[str, ...]
    """Of its recipients; nobody else of the run has any of these."""


@dataclass(frozen=True, slots=True)
class JobReceipt:
    """A file job that was taken: a chord of its files, whose body merges them and has a mail sent."""

    id: str
    files: tuple[str, ...]
    """Their names."""
    notify: str
    """Who is told of it, and of nothing else."""


@dataclass(frozen=True, slots=True)
class MailReceipt:
    """A single mail that was taken."""

    id: str
    address: str


@dataclass(slots=True)
class Receipts:
    """Everything that was accepted in a run."""

    campaigns: list[CampaignReceipt] = field(default_factory=list)
    jobs: list[JobReceipt] = field(default_factory=list)
    mails: list[MailReceipt] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """What was not accepted, with the reason; nothing is expected of it."""

    @property
    def accepted(self) -> int:
        """How many effects are due: mails to recipients, processed files, merged jobs, single mails."""
        recipients = sum(len(campaign.addresses) for campaign in self.campaigns)
        return recipients + sum(len(job.files) + 1 for job in self.jobs) + len(self.mails)
