"""The help of ``yard inspect`` and ``yard control`` names each command that workers know."""

from __future__ import annotations

import re

import pytest
from celery.worker.control import Panel

from services.core.cli import control_commands


@pytest.mark.parametrize("kind", ["inspect", "control"])
def test_help_names_every_command(kind):
    [listed] = re.findall(r"Commands:\n(.*?)\n\n", getattr(control_commands, kind).__doc__, re.DOTALL)
    named = {
        word for line in listed.splitlines() for word in re.findall(r"[a-z_]{4,}", re.split(r"\s{3,}", line.strip())[0])
    }
    assert named == {name for name, info in Panel.meta.items() if info.type == kind and info.visible}
