"""Which role may do what: the one table of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from services.core.usecases.api_keys import Role


class Act(StrEnum):
    """What can be done over the API."""

    SEE = "see"
    """States, counts, queues, workers: nothing that a person wrote, and no address."""
    READ = "read"
    """Recipients, mails, submitted files and what was made from them."""
    SUBMIT_JOB = "submit job"
    CANCEL_JOB = "cancel job"
    SUBMIT_CAMPAIGN = "submit campaign"
    PAUSE_CAMPAIGN = "pause campaign"
    RESUME_CAMPAIGN = "resume campaign"
    CANCEL_CAMPAIGN = "cancel campaign"
    SEND_MAIL = "send mail"
    PAUSE_QUEUE = "pause queue"
    RESUME_QUEUE = "resume queue"
    PURGE_QUEUE = "purge queue"
    PEEK_QUEUE = "peek at queue"
    """What waits in a queue, arguments and all."""
    DRAIN_WORKER = "drain worker"
    READ_TASK = "read task"
    """Arguments, results and errors of tasks; who may not sees tasks without them."""
    REVOKE_TASK = "revoke task"
    PAUSE_ENTRY = "pause schedule entry"
    RESUME_ENTRY = "resume schedule entry"
    RUN_ENTRY = "run schedule entry"
    READ_LETTER = "read dead letter"
    """One dead letter whole: its arguments may hold secrets."""
    EDIT_LETTER = "edit dead letter"
    REPLAY_LETTERS = "replay dead letters"
    DROP_LETTERS = "drop dead letters"
    SEE_ACCESS = "see access"
    """Keys, without what is secret of them, and the audit."""


_EVERYBODY = frozenset(Role)
_SENDERS = frozenset({Role.SENDER})
_OPERATORS = frozenset({Role.OPERATOR})
_BOTH = _SENDERS | _OPERATORS

ROLES: Mapping[Act, frozenset[Role]] = {
    Act.SEE: _EVERYBODY,
    Act.READ: _BOTH,
    Act.SUBMIT_JOB: _SENDERS,
    Act.CANCEL_JOB: _BOTH,
    Act.SUBMIT_CAMPAIGN: _SENDERS,
    Act.PAUSE_CAMPAIGN: _BOTH,
    Act.RESUME_CAMPAIGN: _BOTH,
    Act.CANCEL_CAMPAIGN: _BOTH,
    Act.SEND_MAIL: _SENDERS,
    Act.PAUSE_QUEUE: _OPERATORS,
    Act.RESUME_QUEUE: _OPERATORS,
    Act.PURGE_QUEUE: _OPERATORS,
    Act.PEEK_QUEUE: _OPERATORS,
    Act.DRAIN_WORKER: _OPERATORS,
    Act.READ_TASK: _OPERATORS,
    Act.REVOKE_TASK: _OPERATORS,
    Act.PAUSE_ENTRY: _OPERATORS,
    Act.RESUME_ENTRY: _OPERATORS,
    Act.RUN_ENTRY: _OPERATORS,
    Act.READ_LETTER: _OPERATORS,
    Act.EDIT_LETTER: _OPERATORS,
    Act.REPLAY_LETTERS: _OPERATORS,
    Act.DROP_LETTERS: _OPERATORS,
    Act.SEE_ACCESS: _OPERATORS,
}
"""The roles that may do each act; a test walks through it with a key of each role."""
