"""Every error of sending mail; each says whether the relay may have the mail.

::

    MailError
    ├── MailRejected            final: the relay does not have the mail, and trying again changes nothing
    │   ├── InvalidAddress      the address cannot be written to
    │   ├── TemplateRejected    the template does not exist or does not fit its variables
    │   ├── UnsafeHeader        a value would break the head of the message
    │   └── PermanentFailure    the relay answered 5xx
    ├── TemporaryFailure        the relay does not have the mail: try again later
    │   ├── BeingSent           another execution has it in its hands now
    │   ├── RelayUnavailable    the relay as a whole is out of reach, not only for this mail
    │   └── ClaimsUnavailable   the claim store is out of reach, and without a claim no mail goes out
    └── UnknownOutcome          the connection broke after the mail was sent and before the relay's answer

Each takes one argument, its message, so that a JSON result store can bring it back.
"""

from __future__ import annotations

from shared.errors import FleetError


class MailError(FleetError):
    """A mail was not sent, or nobody knows whether it was."""


class MailRejected(MailError):
    """The relay does not have the mail, and trying again changes nothing."""


class InvalidAddress(MailRejected):
    """The address cannot be written to; nothing was sent."""


class TemplateRejected(MailRejected):
    """The template does not exist or does not fit its variables; nothing was sent."""


class UnsafeHeader(MailRejected):
    """A value would break the head of the message; nothing was sent."""


class PermanentFailure(MailRejected):
    """The relay answered 5xx; it does not have the mail."""


class TemporaryFailure(MailError):
    """The relay does not have the mail now; the same mail may pass later."""


class BeingSent(TemporaryFailure):
    """Another execution of the same task is sending the mail; this one has not sent it."""


class RelayUnavailable(TemporaryFailure):
    """The relay as a whole is out of reach; it does not have the mail."""


class ClaimsUnavailable(TemporaryFailure):
    """The claim store is out of reach; without a claim no mail goes out."""


class UnknownOutcome(MailError):
    """The connection broke between the mail and the answer; the relay may have it."""
