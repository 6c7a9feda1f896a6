"""Merges what became of the files of a job into one manifest and one picture."""

from __future__ import annotations
