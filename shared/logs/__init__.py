"""Logs: a JSON object for each line where a program reads them, text where a person does.

Whoever writes a line uses ``logging`` as ever.  What is known of the task that runs is added to each line that is
written inside it, those of libraries among them.
"""

from __future__ import annotations

from shared.logs.setting_up import log_to_stderr

__all__ = ["log_to_stderr"]
