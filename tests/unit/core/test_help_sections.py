"""The help of ``yard`` names every command, in one section."""

from __future__ import annotations

from collections import Counter

import typer.main

from services.core.cli.main import app
from services.core.cli.sections import SECTIONS


def test_each_command_is_in_one_section():
    commands = typer.main.get_group(app).commands
    shown = Counter(name for names in SECTIONS.values() for name in names)
    assert shown == dict.fromkeys((name for name, command in commands.items() if not command.hidden), 1)
