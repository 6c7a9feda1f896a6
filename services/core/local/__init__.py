"""What a fleet on one machine needs beside the services."""

from __future__ import annotations
