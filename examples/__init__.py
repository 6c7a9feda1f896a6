"""Example files and recipients, as a user would have them."""

from __future__ import annotations
