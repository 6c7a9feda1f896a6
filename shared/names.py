"""The vocabulary of the fleet on one screen: the only place where a name is spelled."""

from __future__ import annotations

from enum import StrEnum


class BrokerName(StrEnum):
    """The brokers, by the kind of work that they carry."""

    DEFAULT = "default"
    CRITICAL = "critical"
    BATCH = "batch"


class ServiceName(StrEnum):
    """The services; each is a Celery app of its own, in ``services/<name>``."""

    CORE = "core"
    EMAIL_WORKER = "email_worker"
    FILE_WORKER = "file_worker"


class QueueName(StrEnum):
    """The queues; ``shared.queues`` says which broker and which service each belongs to."""

    EMAIL_CRITICAL = "email.critical"
    EMAIL_BULK = "email.bulk"
    FILE_IMAGES = "file.images"
    FILE_DOCUMENTS = "file.documents"
    CORE_DEFAULT = "core.default"
    CORE_MAINTENANCE = "core.maintenance"


class TaskName(StrEnum):
    """The tasks; ``shared.tasks`` says which queue and priority each has by default."""

    EMAIL_SEND = "email.send"
    EMAIL_VALIDATE_CHUNK = "email.validate_chunk"
    EMAIL_SEND_CHUNK = "email.send_chunk"

    FILE_PROCESS = "file.process"

    CORE_RECORD_FILE = "core.record_file"
    CORE_FAIL_FILE = "core.fail_file"
    CORE_MERGE_JOB = "core.merge_job"
    CORE_FAIL_JOB = "core.fail_job"
    CORE_RECORD_MAIL = "core.record_mail"
    CORE_FAIL_MAIL = "core.fail_mail"
    CORE_ADVANCE_CAMPAIGN = "core.advance_campaign"
    CORE_ADVANCE_STALLED = "core.advance_stalled"
    CORE_RECORD_CHUNK = "core.record_chunk"
    CORE_FAIL_CHUNK = "core.fail_chunk"
    CORE_CLEAN_ARTEFACTS = "core.clean_artefacts"
    CORE_CLEAN_LEDGER = "core.clean_ledger"
    CORE_CLEAN_DEAD_LETTERS = "core.clean_dead_letters"
    CORE_CLEAN_HISTORY = "core.clean_history"
