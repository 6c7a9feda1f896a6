"""Messages that are built once for each kind of call, and filled in for each call.

Celery and kombu build every message from nothing: of some 450 µs of CPU that a publish took, the broker's client needed
90.  A call with nothing unusual about it takes a shorter way, below ``FleetCelery.send_task``: the first of its kind is
published the full way, and shows what the others look like.
"""
