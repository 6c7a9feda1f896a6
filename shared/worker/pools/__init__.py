"""Celery's pools that run tasks in the worker's own process, in which no task ends the worker or hangs in it."""
