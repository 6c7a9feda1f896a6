"""Typed recipes for the tasks of each service; a caller imports these and no code of a worker.

A recipe is a Celery signature: send it with ``.delay()`` or ``.apply_async()``, or build a canvas of several.
The app that sends it is the current one; a client makes one current with ``app.set_current()``.
"""
