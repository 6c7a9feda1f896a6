"""Shows our errors on Celery's command line as one clear line instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from shared.errors import FleetError


@contextmanager
def as_usage_error() -> Iterator[None]:
    """Turn an error of ours into one that the command line prints; elsewhere let it pass as it is."""
    try:
        yield
    except FleetError as error:
        if click.get_current_context(silent=True):
            raise click.ClickException(str(error)) from error
        raise
