"""The tests of Celery that can't pass over several brokers, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

LISTENS_LATE = (
    "looks for a subscription right after `delay`; here a process listens for results from when it waits for one, and "
    "lets go of several together (docs/decisions/0012-results.md)"
)

PREMISES: Mapping[str, str] = {
    "t/integration/test_tasks.py::test_tasks::test_expired": (
        "keeps the only worker busy with `sleeping`, so that `add` expires in the queue; here another worker is free"
    ),
    "t/integration/test_tasks.py::test_tasks::test_revoked": (
        "keeps the only worker busy with `sleeping`, so that `add` is revoked while it waits; here another worker is "
        "free, and has run it by then"
    ),
    "t/integration/test_tasks.py::test_tasks::test_task_sent_event_respects_publish_retry_limit": (
        "makes a producer of the app's own broker fail; here `add` is published with a producer of the broker it is on"
    ),
    "t/integration/test_tasks.py::test_task_redis_result_backend::test_asyncresult_forget_cancels_subscription": (
        LISTENS_LATE
    ),
    "t/integration/test_tasks.py::test_task_redis_result_backend::test_asyncresult_get_cancels_subscription": (
        LISTENS_LATE
    ),
}
