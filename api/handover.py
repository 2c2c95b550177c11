"""Answers of the writer's thread, handed to the event loop: those of one commit in one go."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstore.intent import Receipt
    from eventstore.promise import Promise

Waiting = tuple["asyncio.Future[Receipt]", "Promise"]


class Handover:
    """Where one event loop takes answers over.

    `asyncio.wrap_future` calls the loop once for each; that and its own bookkeeping are a sixth of
    what a command costs here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._call = loop.call_soon_threadsafe
        self._landed: deque[Waiting] = deque()
        self._called = False

    def receive(self, answer: Promise) -> asyncio.Future[Receipt]:
        """The answer, once it is there. Whoever stops waiting stops nothing else."""
        here: asyncio.Future[Receipt] = self.loop.create_future()
        answer.add_done_callback(partial(self._land, here))
        return here

    def _land(self, here: asyncio.Future[Receipt], answer: Promise) -> None:
        self._landed.append((here, answer))
        if not self._called:
            self._called = True
            self._call(self._deliver)

    def _deliver(self) -> None:
        self._called = False  # before anything is taken: what lands from now on calls again
        while self._landed:
            here, answer = self._landed.popleft()
            if here.done():
                continue
            outcome = answer.outcome()
            if isinstance(outcome, Exception):
                here.set_exception(outcome)
            else:
                here.set_result(outcome)


class _Here(threading.local):
    """The one of the event loop that runs in this thread, or ran in it last."""

    handover: Handover | None = None


_here = _Here()


async def answered(answer: Promise) -> Receipt:
    """The receipt of a command, or the error in its place, without keeping the loop waiting."""
    loop = asyncio.get_running_loop()
    handover = _here.handover
    if handover is None or handover.loop is not loop:
        handover = _here.handover = Handover(loop)
    return await handover.receive(answer)
