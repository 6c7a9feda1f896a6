"""Sets up the logs of a process: of Celery's programs through ``FleetLogging``, of others by ``log_to_stderr``."""

from __future__ import annotations

import logging
import sys
from typing import Any

from celery.app.log import Logging
from celery.platforms import isatty
from celery.utils.log import ColorFormatter

from shared.logs.formats import JsonLines, Origin, Text
from shared.logs.masking import Mask
from shared.settings import load_settings

TEXT = "%(asctime)s %(levelname)s %(message)s"


class FleetLogging(Logging):
    """Celery's logging with the fleet's lines: the same loggers, levels, files and redirections.

    An app has it by its ``log_cls``; a process that connects ``setup_logging`` does without, as ever in Celery.
    """

    def setup_handlers(
        self,
        logger: logging.Logger,
        logfile: Any,
        format: str,  # noqa: A002
        colorize: bool | None,
        formatter: type[logging.Formatter] = ColorFormatter,
        datefmt: str | None = None,
        **options: Any,
    ) -> logging.Logger:
        """Add a handler to a logger that has none, as Celery does."""
        there = list(logger.handlers)
        super().setup_handlers(logger, logfile, format, colorize, formatter, datefmt, **options)
        for handler in logger.handlers:
            if handler not in there and isinstance(handler, logging.StreamHandler):
                _dress(handler, self._origin, format, datefmt=datefmt, colour=bool(colorize))
        return logger

    def _origin(self) -> dict[str, str]:
        joined = self.app.joined
        return {"service": self.app.service or str(self.app.main), **({"broker": joined.alias} if joined else {})}


def read_by_programs(stream: Any) -> bool:
    """Tell whether lines in a stream are JSON: as the setting says, else where it is no terminal.

    Raises:
        InvalidSettings: A setting is wrong.
    """
    form = load_settings().log_format
    return form == "json" or (form == "auto" and not isatty(stream))


def log_to_stderr(service: str, level: int = logging.INFO) -> None:
    """Write the logs of this process to stderr, as a process does that is none of Celery's programs.

    Args:
        service: What the process is, in each line.
        level: The least level that is written.

    Raises:
        InvalidSettings: A setting is wrong.
    """
    handler = logging.StreamHandler(sys.stderr)
    _dress(handler, lambda: {"service": service}, TEXT)
    logging.basicConfig(level=level, handlers=[handler])


def _dress(
    handler: logging.StreamHandler[Any], origin: Origin, form: str, *, datefmt: str | None = None, colour: bool = False
) -> None:
    mask = Mask.of(load_settings())
    if read_by_programs(handler.stream):
        handler.setFormatter(JsonLines(origin, mask))
    else:
        handler.setFormatter(Text(form, mask, datefmt=datefmt, use_color=colour))
