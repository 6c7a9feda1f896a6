"""The web console: static files that a browser runs over the API, served by it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

STATIC = Path(str(files(__name__) / "static"))
"""Where its files lie; what is not in there when the API starts is served to nobody."""
