"""What the example files are made of."""

from __future__ import annotations
