"""A small fleet of its own, over the same three brokers, whose tasks take every path on which Celery publishes."""
