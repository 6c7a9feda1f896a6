"""Celery's own integration tests, unchanged: first on one broker with stock Celery, then over three with ours.

``tests/upstream/run`` gets the tests of the installed Celery from its source package, runs both set-ups with the
same kind of external workers, and compares them test by test.
"""
