"""One module per change of the tables, chained by ``down_revision``; a released one is never edited."""

from __future__ import annotations
