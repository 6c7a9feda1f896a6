"""The HTTP API: gives the fleet work and steers it, with keys, roles, an audit, and each request carried out once."""

from __future__ import annotations
