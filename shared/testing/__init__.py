"""What the tests of a fleet's users need: a recording of what is published, and real servers in containers.

The recording needs no broker and no package beyond Switchyard's own.  The containers are in
``shared.testing.containers``, and as pytest fixtures in ``shared.testing.fixtures``; they need the extra ``testing``.
"""

from __future__ import annotations

from shared.testing.published import PublishedTask, Recording
from shared.testing.recording import recording

__all__ = ["PublishedTask", "Recording", "recording"]
