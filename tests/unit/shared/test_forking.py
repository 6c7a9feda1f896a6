"""A worker forks before it has threads."""

from __future__ import annotations

from celery.worker.components import Beat, Consumer, Pool

from services.core.app import app
from shared.worker.controller import FleetWorker


def test_every_step_of_the_fleet_starts_after_what_forks():
    blueprint = FleetWorker.Blueprint(steps=app.steps["worker"])
    blueprint.steps = blueprint.claim_steps()
    order = [step.name for step in blueprint._finalize_steps(blueprint.steps)]
    ours = [name for name in order if name.startswith("shared.")]
    assert len(ours) >= 5
    last_fork = max(order.index(Pool.name), order.index(Beat.name))
    assert last_fork < min(order.index(name) for name in (*ours, Consumer.name))
