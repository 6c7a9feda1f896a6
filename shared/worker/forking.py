"""What forks when a worker starts."""

from __future__ import annotations

from celery.worker.components import Beat, Pool

FORKS = (Pool, Beat)
"""Steps that every step with a thread requires.

A fork copies the locks of all threads, and none of the threads.  For what another thread imports at that moment the
child waits without end, or has half of it: an embedded beat that could resolve no name fired nothing.
"""
