"""The container images that tests use: those of ``compose.yaml``, named here and there and nowhere else."""

from __future__ import annotations

REDIS = "redis:8"
RABBITMQ = "rabbitmq:4-management"
POSTGRES = "postgres:17"
