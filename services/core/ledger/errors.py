"""What can be wrong with what a person asks of the ledger.

::

    FleetError
    └── LedgerError                   nothing was recorded and nothing is to be published
        ├── InvalidLedgerUrl          the URL is no SQLite file and no PostgreSQL database
        ├── LedgerOutdated            the tables are missing or those of another release
        ├── LedgerUnavailable         the database is out of reach; may be tried again
        ├── UnknownId                 no job, campaign, mail, file or chunk has this id
        ├── InvalidSubmission         the files, the address or the id given cannot be used
        │   └── InvalidRecipientList  the CSV cannot be read as a list of recipients
        ├── TemplateDiffers           the campaign id belongs to a mailing of another template
        ├── WrongState                it stands where this can't be done to it
        └── CampaignSeemsRepeated     the same list and template were submitted before
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.errors import FleetError, did_you_mean


class LedgerError(FleetError):
    """Something asked of the ledger cannot be; nothing was recorded and nothing is to be published."""


class InvalidLedgerUrl(LedgerError):
    """The URL is no SQLite file and no PostgreSQL database; the message never shows the URL."""


class LedgerOutdated(LedgerError):
    """The tables are missing, or are those of another release."""


class LedgerUnavailable(LedgerError):
    """The database is out of reach or too busy; what was asked may be tried again, for records are idempotent."""

    def __init__(self, cause: object) -> None:
        super().__init__(f"The ledger's database does not answer: {cause}")


class UnknownId(LedgerError):
    """Nothing has this id; the message names close ones."""

    def __init__(self, noun: str, unknown: str, known: Iterable[str] = ()) -> None:
        super().__init__(f"There is no {noun} with the id {unknown!r}.{did_you_mean(unknown, known)}")
        self.unknown = unknown


class InvalidSubmission(LedgerError):
    """What was submitted cannot be used as it is."""


class InvalidRecipientList(InvalidSubmission):
    """The CSV cannot be read as a list of recipients."""


class TemplateDiffers(LedgerError):
    """The campaign id belongs to a mailing of another template."""

    def __init__(self, campaign_id: str, recorded: str, given: str) -> None:
        super().__init__(
            f"Campaign {campaign_id!r} mails the template {recorded!r}, not {given!r}. "
            "Give a new id for a mailing of another template."
        )


class WrongState(LedgerError):
    """What is to be done to something can't be done where it stands."""

    def __init__(self, noun: str, wanted: str, state: str, act: str) -> None:
        super().__init__(f"The {noun} {wanted!r} is {state.replace('_', ' ')} and can't be {act}.")


class CampaignSeemsRepeated(LedgerError):
    """The same list and template were submitted before, and no id says that this is meant."""

    def __init__(self, earlier: str) -> None:
        super().__init__(
            f"The same recipients were mailed the same template as campaign {earlier!r}. "
            f"Give that id to send only what was not sent, or ask for a new campaign explicitly."
        )
        self.earlier = earlier
