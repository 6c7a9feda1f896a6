"""Templates: a folder each, with ``subject.txt``, ``body.txt`` and, if wanted, ``body.html``."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.email_worker.errors import TemplateRejected

SHIPPED = Path(__file__).parent / "templates"

SUBJECT = "subject.txt"
TEXT = "body.txt"
HTML = "body.html"

CHANGED_WITHIN_SECONDS = 1.0
"""After this time at most a running worker uses a template as it was changed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""A template's name is one folder's name, so it cannot lead out of the folder of templates."""


@dataclass(frozen=True)
class Rendered:
    """What a template became for one recipient."""

    subject: str
    """One line: any line break that a variable held is a space by now."""
    text: str
    html: str | None


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, whose templates know the same globals by a ``dict``.

    Jinja2 gives each template a ``ChainMap`` of them, which it walks through for every part of every mail; that took
    half as long as rendering.
    """

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Return the globals of a template."""
        return {**self.globals, **(d or {})}


class Templates:
    """Render mails from the templates that come with Switchyard and from a folder of your own.

    A template of your own replaces the shipped one of the same name as a whole; its parts may still
    ``extend`` the shipped ``layout.html``.  Variables are data and never code: Jinja2's sandbox keeps
    templates from reaching into Python, and HTML parts escape every value.
    """

    def __init__(self, own: Path | None = None) -> None:
        self._folders = [own, SHIPPED] if own else [SHIPPED]
        self._environment = _Environment(
            loader=FileSystemLoader(self._folders),
            undefined=StrictUndefined,
            autoescape=lambda part: part is not None and part.endswith(".html"),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,  # see _look_for_changes
        )
        self._has_html: dict[str, bool] = {}
        self._look_at = 0.0

    @property
    def names(self) -> list[str]:
        """The templates that there are."""
        found = {path.parent.name for folder in self._folders for path in folder.glob(f"*/{SUBJECT}")}
        return sorted(filter(_NAME.fullmatch, found))

    def render(self, name: str, variables: Mapping[str, Any]) -> Rendered:
        """Fill in one template.

        Raises:
            TemplateRejected: The template is unknown (the error lists those that there are), lacks a part,
                or wants a variable that is not given (the error names both).
        """
        self._look_for_changes()
        html = self._has_html.get(name)
        if html is None:
            html = self._has_html[name] = (self._folder(name) / HTML).is_file()
        return Rendered(
            subject=" ".join(self._part(name, SUBJECT, variables).split()),
            text=self._part(name, TEXT, variables),
            html=self._part(name, HTML, variables) if html else None,
        )

    def _look_for_changes(self) -> None:
        """Forget what was read when a file has changed; all files are looked at now and then, not for every mail."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + CHANGED_WITHIN_SECONDS
        self._has_html = {}
        cache = self._environment.cache
        if cache is not None and not all(template.is_up_to_date for template in list(cache.values())):
            cache.clear()

    def _folder(self, name: str) -> Path:
        if _NAME.fullmatch(name):
            for folder in self._folders:
                if (folder / name).is_dir():
                    return folder / name
        raise TemplateRejected(f"No template is called {name!r}; there are: {', '.join(self.names)}.")

    def _part(self, name: str, part: str, variables: Mapping[str, Any]) -> str:
        try:
            rendered = self._environment.get_template(f"{name}/{part}").render(variables)
            rendered.encode()
        except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise TemplateRejected(f"Template {name!r} cannot be rendered ({part}): {_one_line(error)}") from error
        return rendered


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
