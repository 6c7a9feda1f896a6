"""The two forms of a line: a JSON object, and text."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from celery.utils.log import ColorFormatter
from pythonjsonlogger.core import LogData
from pythonjsonlogger.json import JsonFormatter

from shared.logs.context import record_fields, task_fields
from shared.logs.masking import Mask

Origin = Callable[[], dict[str, str]]
"""Returns what is known of the process: its service, the broker that it belongs to."""


class JsonLines(JsonFormatter):
    """A line is a JSON object: ``time``, ``level``, ``logger``, ``message``, and what is known of process and task.

    Extra fields of a record are left out: Celery puts arguments of tasks there.
    """

    def __init__(self, origin: Origin, mask: Mask) -> None:
        super().__init__(["message"], json_ensure_ascii=False)
        self._origin = origin
        self._mask = mask

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: LogData) -> None:
        """Fill in the fields of a line, in the order in which they are read best."""
        log_data |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.message,
            **self._origin(),
            "process": f"{record.processName}:{record.process}",
            **record_fields(record),
            **task_fields(),
            **{name: message_dict[name] for name in ("exc_info", "stack_info") if message_dict.get(name)},
        }

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without passwords."""
        return self._mask(super().format(record))


class Text(ColorFormatter):
    """A line is text as Celery writes it; one from inside a task says at its end which task that is."""

    def __init__(self, form: str, mask: Mask, *, datefmt: str | None = None, use_color: bool = False) -> None:
        super().__init__(form, datefmt=datefmt, use_color=use_color)
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without passwords."""
        line = super().format(record)
        if not record.name.startswith("celery.") and (fields := task_fields()):
            first, *traceback = line.split("\n", 1)
            told = " ".join(f"{name}={value}" for name, value in fields.items())
            line = "\n".join((f"{first} [{told}]", *traceback))
        return self._mask(line)
