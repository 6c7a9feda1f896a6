"""An answer of the brokers is shared by those who ask at about the same time, and asked once for all of them."""

from __future__ import annotations

import asyncio
from itertools import count
from threading import Event

import pytest

from services.core.api.samples import Sample, Samples


class SlowBrokers:
    """Answer with how often they were asked, and not before they may."""

    def __init__(self) -> None:
        self.begun, self.go_on = Event(), Event()
        self._numbers = count(1)

    def __call__(self) -> int:
        number = next(self._numbers)
        self.begun.set()
        assert self.go_on.wait(30)
        return number

    async def begin(self, samples: Samples) -> asyncio.Task[Sample[int]]:
        """Ask for a sample; return when the brokers have heard of it."""
        asked = asyncio.create_task(samples.take("queues", self))
        assert await asyncio.to_thread(self.begun.wait, 30)
        return asked


def test_many_who_ask_at_once_cost_one_answer():
    ask = SlowBrokers()

    async def many() -> list[int]:
        samples = Samples()
        waiting = [asyncio.create_task(samples.take("queues", ask)) for _ in range(50)]
        await asyncio.sleep(0)
        ask.go_on.set()
        told = [(await each).value for each in waiting]
        return [*told, (await samples.take("queues", ask)).value, (await samples.take("workers", ask)).value]

    assert asyncio.run(many()) == [1] * 51 + [2]


def test_what_is_too_old_is_asked_again():
    asked = count(1)

    async def two() -> list[int]:
        samples = Samples(every_seconds=0)
        return [(await samples.take("queues", lambda: next(asked))).value for _ in range(2)]

    assert asyncio.run(two()) == [1, 2]


def test_after_an_act_nobody_is_told_what_was_asked_before():
    ask = SlowBrokers()

    async def around() -> list[int]:
        samples = Samples()
        before = await ask.begin(samples)
        samples.forget()
        after = asyncio.create_task(samples.take("queues", ask))
        await asyncio.sleep(0)
        ask.go_on.set()
        return [(await before).value, (await after).value, (await samples.take("queues", ask)).value]

    assert asyncio.run(around()) == [1, 2, 2]


def test_who_wants_it_fresh_waits_for_an_answer_that_was_asked_for_afterwards():
    ask = SlowBrokers()

    async def late() -> list[int]:
        samples = Samples()
        before = await ask.begin(samples)
        fresh = [asyncio.create_task(samples.take("queues", ask, fresh=True)) for _ in range(10)]
        await asyncio.sleep(0)
        ask.go_on.set()
        return [(await each).value for each in (before, *fresh)]

    assert asyncio.run(late()) == [1, *[2] * 10]


def test_what_is_raised_is_told_to_all_who_wait_and_not_kept():
    asked = count(1)

    def ask() -> int:
        if (number := next(asked)) == 1:
            raise ConnectionError
        return number

    async def again() -> int:
        samples = Samples()
        answers = await asyncio.gather(*(samples.take("queues", ask) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [ConnectionError] * 3
        return (await samples.take("queues", ask)).value

    assert asyncio.run(again()) == 2


def test_a_client_that_goes_away_takes_the_answer_from_nobody():
    go_on = Event()

    async def leave() -> int:
        samples = Samples()
        leaves, stays = (asyncio.create_task(samples.take("queues", lambda: int(go_on.wait(30)))) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        go_on.set()
        return (await stays).value

    assert asyncio.run(leave()) == 1
