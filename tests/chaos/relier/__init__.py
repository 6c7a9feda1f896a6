"""relier, which wraps Celery, put to the same tests: it runs in an environment of its own, made by ``install``."""
