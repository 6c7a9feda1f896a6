"""A fleet whose one task says where it ran: ``celery -A tests.fleet.places worker``; the queues are those of canvas."""

from __future__ import annotations

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from tests.fleet import canvas_tasks

WHERE = "places.where"


def places() -> FleetCelery:
    """An app of its own, so that a test may change its configuration."""
    fleet = FleetCelery(
        "places",
        brokers=switchyard_brokers,
        queues=canvas_tasks.app.queue_table.values(),
        defaults=switchyard_defaults,
        state=switchyard_state,
    )
    fleet.task(shared=False, name=WHERE, bind=True)(where)
    return fleet


def where(self):
    """The queue, the node and the priority of this call."""
    delivery = self.request.delivery_info
    return [delivery["routing_key"], self.request.hostname, delivery["priority"]]


app = places()
