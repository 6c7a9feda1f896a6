"""Tasks that do as little as they can: what matters is where they run, and what happens to their results."""

from __future__ import annotations

import time
from pathlib import PurePath
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from fleet import journal
from fleet.app import app

# In the queue general, on Redis.


@app.task(name="guide.add")
def add(x: int, y: int) -> int:
    """Add two numbers."""
    return x + y


@app.task(name="guide.multiply")
def multiply(x: int, y: int) -> int:
    """Multiply two numbers."""
    return x * y


@app.task(name="guide.total")
def total(numbers: list[int]) -> int:
    """Add up a list."""
    return sum(numbers)


@app.task(name="guide.divide")
def divide(x: int, y: int) -> float:
    """Divide; by zero it fails."""
    return x / y


@app.task(name="guide.merge")
def merge(names: list[str]) -> str:
    """Join a list of names."""
    return " + ".join(names)


@app.task(name="guide.log_success")
def log_success(result: Any) -> None:
    """Note a result down."""
    journal.write(f"done: {result}")


@app.task(name="guide.log_failure")
def log_failure(request: Any, error: Exception, _: Any) -> None:
    """Note down, as an errback, which task failed and why."""
    journal.write(f"{request.task} failed: {error!r}")


@app.task(name="guide.report_failure")
def report_failure(task_id: str) -> None:
    """Note down, as an errback that is a task of its own, what became of another task."""
    journal.write(f"{task_id} failed: {app.AsyncResult(task_id).result!r}")


# In the queue mail, on another Redis.


@app.task(name="guide.validate_email")
def validate_email(address: str) -> str:
    """Refuse what is no address."""
    if "@" not in address:
        raise ValueError(f"{address} is no address")
    return address.lower()


@app.task(name="guide.send_email")
def send_email(address: str, template: str = "welcome") -> str:
    """Say which mail went to whom."""
    return f"{template} to {address}"


# In the queue files, on RabbitMQ.


@app.task(name="guide.resize_image")
def resize_image(name: str, width: int) -> str:
    """Name the smaller image."""
    path = PurePath(name)
    return f"{path.stem}-{width}{path.suffix}"


@app.task(name="guide.picture", bind=True)
def picture(self: Any, name: str) -> None:
    """Put a chain in its own place."""
    self.replace(resize_image.s(name, 800) | send_email.s("picture"))


@app.task(name="guide.extract_text")
def extract_text(name: str) -> str:
    """Name the text."""
    return f"the text of {name}"


@app.task(name="guide.convert", bind=True)
def convert(self: Any, name: str, pages: int) -> str:
    """Tell of its progress at every page."""
    for page in range(1, pages + 1):
        time.sleep(0.05)
        self.update_state(state="PROGRESS", meta={"current": page, "total": pages})
    return f"{name}, {pages} pages"


# Wherever they are sent.


@app.task(name="guide.where", bind=True)
def where(self: Any, *_: Any) -> str:
    """Say in which queue this call was, and who took it."""
    return f"{self.request.delivery_info['routing_key']}, by {self.request.hostname}"


@app.task(name="guide.note")
def note(line: str) -> str:
    """Note a line down, and hand it on."""
    journal.write(line)
    return line


@app.task(name="guide.priority_of", bind=True)
def priority_of(self: Any, *_: Any) -> int:
    """Say with which priority this call came."""
    return int(self.request.delivery_info["priority"])


@app.task(name="guide.wait")
def wait(seconds: float, cleanup_seconds: float = 0) -> str:
    """Wait, and when there is no time left, clean up."""
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        journal.write("cleaning up")
        time.sleep(cleanup_seconds)
        return "cleaned up"
    return "waited"


@app.task(name="guide.fetch", bind=True, max_retries=3)
def fetch(self: Any, address: str, failures: int) -> str:
    """Fail so many times before it succeeds."""
    if self.request.retries < failures:
        raise self.retry(exc=ConnectionError(f"{address} does not answer"), countdown=0.2)
    return f"{address}, at attempt {self.request.retries + 1}"


@app.task(
    name="guide.download",
    bind=True,
    autoretry_for=(ConnectionError,),
    max_retries=5,
    retry_backoff=1,
    retry_backoff_max=60,
)
def download(self: Any, address: str, failures: int) -> str:
    """Fail so many times before it succeeds, without a word on retrying."""
    if self.request.retries < failures:
        raise ConnectionError(f"{address} does not answer")
    return f"{address}, at attempt {self.request.retries + 1}"


@app.task(name="guide.stamps", bind=True, max_retries=2)
def stamps(self: Any, *_: Any, retries: int = 0) -> dict[str, Any]:
    """Say which stamps this call bears, after so many retries."""
    if self.request.retries < retries:
        raise self.retry(countdown=0)
    return dict(self.request.stamps)


@app.task(name="guide.echo")
def echo(value: Any) -> Any:
    """Return what it got."""
    return value


@app.task(name="guide.impatient")
def impatient() -> int:
    """Wait for another task, which a task must not do."""
    return int(add.delay(2, 3).get(timeout=10))


@app.task(name="guide.pay")
def pay(order: str) -> str:
    """Do it once for each order, however often it is called."""
    if not app.state.client.set(f"guide:paid:{order}", 1, nx=True, ex=3600):
        return f"{order} is paid already"
    return f"{order} paid"
