"""The test fleet with a task that writes lines: ``celery -A tests.fleet.logged worker``."""

from __future__ import annotations

import logging

from tests.fleet.app import app as app  # noqa: PLC0414 - what Celery's command line looks for

logger = logging.getLogger("somebody.else")


@app.task(name="try.speak")
def speak(chunk, text):
    logger.warning("says %s", text)
    print(f"prints {text}")


@app.task(name="try.speak_of_a_file", bind=True)
def speak_of_a_file(self, file_id):
    try:
        int("amqp://somebody:a-secret@host/")
    except ValueError:
        logger.exception("could not reach %s", "redis://:another-secret@host/0")
