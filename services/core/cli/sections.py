"""The commands of ``yard`` in the sections of its help."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

SECTIONS = {
    "The fleet on this machine": ("up", "down", "status", "restart", "check", "demo"),
    "Give it work": ("process", "campaign", "send", "job"),
    "Look": ("top", "queues", "workers", "tasks", "workflows", "events", "inspect"),
    "Act": ("dead", "schedule", "control"),
    "One process each, for containers and service managers": (
        "worker", "beat", "relay", "observer", "recorder", "api", "mail-catcher", "health",
    ),
    "Set up and prove": ("migrate", "key", "secrets", "chaos"),
}  # fmt: skip
SHORT_CHARACTERS = 200
"""A first sentence is shown whole; the terminal breaks it."""


class SectionedGroup(TyperGroup):
    """Commands whose help comes in sections."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature of its base
        """Write what each command does, section by section."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, self._short(name)) for name in names])

    def _short(self, name: str) -> str:
        return self.commands[name].get_short_help_str(SHORT_CHARACTERS)
