"""Every error of ours arrives in another process as it was raised."""

from __future__ import annotations

import pickle

import pytest

from services.core.ledger.errors import CampaignSeemsRepeated, LedgerUnavailable, TemplateDiffers, UnknownId
from services.core.local.errors import NotInstalled
from shared.errors import MisroutedQueue, UnknownBroker, UnknownQueue, UnknownSetting, UnknownTask
from shared.storage import PathEscapes


@pytest.mark.parametrize(
    "error",
    [
        UnknownQueue.named("a", ["b"]),
        UnknownTask.named("a", ["b"], " And more."),
        UnknownBroker.named("a", []),
        UnknownSetting.named("task_ack_late", "task_ack_late", ["task_acks_late"]),
        MisroutedQueue("elsewhere"),
        PathEscapes("../x"),
        UnknownId("job", "x", ["y"]),
        TemplateDiffers("c", "a", "b"),
        CampaignSeemsRepeated("c"),
        LedgerUnavailable("gone"),
        NotInstalled("redis-server"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_way_between_processes(error):
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
