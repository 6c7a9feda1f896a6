"""How the page calls what is found beside the medians; gates look it up by the same names."""

from __future__ import annotations

GROWTH = "Memory of a prefork parent after the chord, as many times as after one of a tenth of its members"
ABOVE_IDLE = "Milliseconds that the fleet's p99 is above its idle one"
OF_STOCK = "The fleet's p99 under load, as a share of that of stock Celery's one queue"
LOSS = "What the fleet's rate loses with the depth, beyond what the raw loop's does, as a share"
