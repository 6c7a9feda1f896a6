"""The task table: where each task of Switchyard goes when a call does not say otherwise.

A caller needs no code of a service to publish its tasks, but without this table it would not know their queues.
"""

from __future__ import annotations

from shared.names import QueueName, TaskName
from shared.priorities import Priority
from shared.routing import TaskSpec

MESSAGE_VERSION = 1
"""Of messages of these tasks.  What raises it, and what has to be written then: ``docs/how-to/deploy.md``."""

TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(TaskName.EMAIL_SEND, QueueName.EMAIL_CRITICAL, Priority.HIGH, hide_arguments=True),
    TaskSpec(TaskName.EMAIL_VALIDATE_CHUNK, QueueName.EMAIL_CRITICAL, Priority.LOW),
    TaskSpec(TaskName.EMAIL_SEND_CHUNK, QueueName.EMAIL_BULK, Priority.LOW),
    TaskSpec(TaskName.FILE_PROCESS, QueueName.FILE_DOCUMENTS),
    TaskSpec(TaskName.CORE_RECORD_FILE, QueueName.CORE_DEFAULT, large_arguments=True),
    TaskSpec(TaskName.CORE_FAIL_FILE, QueueName.CORE_DEFAULT),
    TaskSpec(TaskName.CORE_MERGE_JOB, QueueName.CORE_DEFAULT, large_arguments=True),
    TaskSpec(TaskName.CORE_FAIL_JOB, QueueName.CORE_DEFAULT),
    TaskSpec(TaskName.CORE_RECORD_MAIL, QueueName.CORE_DEFAULT),
    TaskSpec(TaskName.CORE_FAIL_MAIL, QueueName.CORE_DEFAULT),
    TaskSpec(TaskName.CORE_ADVANCE_CAMPAIGN, QueueName.CORE_DEFAULT),
    TaskSpec(TaskName.CORE_RECORD_CHUNK, QueueName.CORE_DEFAULT),
    TaskSpec(TaskName.CORE_FAIL_CHUNK, QueueName.CORE_DEFAULT),
    TaskSpec(TaskName.CORE_ADVANCE_STALLED, QueueName.CORE_MAINTENANCE, Priority.LOW),
    TaskSpec(TaskName.CORE_CLEAN_ARTEFACTS, QueueName.CORE_MAINTENANCE, Priority.LOW),
    TaskSpec(TaskName.CORE_CLEAN_LEDGER, QueueName.CORE_MAINTENANCE, Priority.LOW),
    TaskSpec(TaskName.CORE_CLEAN_DEAD_LETTERS, QueueName.CORE_MAINTENANCE, Priority.LOW),
    TaskSpec(TaskName.CORE_CLEAN_HISTORY, QueueName.CORE_MAINTENANCE, Priority.LOW),
    TaskSpec("celery.backend_cleanup", QueueName.CORE_MAINTENANCE, Priority.LOW),
    TaskSpec("celery.chord_unlock", QueueName.CORE_DEFAULT, large_arguments=True),
)
