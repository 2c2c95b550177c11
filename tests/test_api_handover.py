"""What the writer's thread answers reaches the event loop, whoever still waits for it."""

from __future__ import annotations

import asyncio
import threading
from uuid import UUID

import pytest

from api.handover import answered
from domain.base import Refusal
from eventstore.intent import Receipt
from eventstore.promise import Promise

ANSWERS = 2_000


class NotToday(Refusal):
    """Not today."""


def receipt(number: int) -> Receipt:
    return Receipt(UUID(int=number), number, number, 1)


def test_every_answer_reaches_who_asked():
    asked: list[Promise] = [Promise() for _ in range(ANSWERS)]

    def write() -> None:
        for number in reversed(range(ANSWERS)):
            asked[number].keep(receipt(number) if number % 5 else NotToday())

    async def ask() -> list[Receipt | BaseException]:
        writer = threading.Thread(target=write)
        writer.start()
        told = await asyncio.gather(*map(answered, asked), return_exceptions=True)
        writer.join()
        return told

    told = asyncio.run(ask())
    for number, one in enumerate(told):
        assert isinstance(one, NotToday) if number % 5 == 0 else one == receipt(number)


def test_who_stops_waiting_stops_nothing():
    async def ask() -> Receipt:
        first, second = Promise(), Promise()
        impatient = asyncio.create_task(answered(first))
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        first.keep(receipt(1))
        second.keep(receipt(2))
        return await answered(second)

    assert asyncio.run(ask()) == receipt(2)
