"""Chords that end: what is known of each lies in shared state, and any worker ends one that others left behind.

A chord is recorded before its header is published.  Its members report to the record, and who reports the last one
claims the end of the chord: the body, or the errbacks.  When that process dies, when a member ended and could not
report, or when the deadline is over, the watch of some other worker finds the chord and ends it.
"""

from __future__ import annotations
