"""The history of tasks: what Celery's events told of each, kept in the ledger, searchable, drawn as workflows."""
