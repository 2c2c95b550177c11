"""Answers of the writer's thread, handed to the event loop: those of one commit in one go."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstore.intent import Receipt
    from eventstore.promise import Promise

Heard = Callable[["Promise"], None]


class Handover:
    """Where one event loop takes answers over.

    `asyncio.wrap_future` calls the loop once for each; that and its own bookkeeping are a sixth of
    what a command costs here.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._call = loop.call_soon_threadsafe
        self._landed: deque[tuple[Heard, Promise]] = deque()
        self._called = False

    def tell(self, answer: Promise, heard: Heard) -> None:
        """Have `heard` called in the event loop with the answer, once it is there."""
        answer.add_done_callback(partial(self._land, heard))

    def receive(self, answer: Promise) -> asyncio.Future[Receipt]:
        """The answer, once it is there. Whoever stops waiting stops nothing else."""
        here: asyncio.Future[Receipt] = self.loop.create_future()
        self.tell(answer, partial(_pass_on, here))
        return here

    def _land(self, heard: Heard, answer: Promise) -> None:
        self._landed.append((heard, answer))
        if not self._called:
            self._called = True
            self._call(self._deliver)

    def _deliver(self) -> None:
        self._called = False  # before anything is taken: what lands from now on calls again
        try:
            while self._landed:
                heard, answer = self._landed.popleft()
                heard(answer)
        finally:
            if self._landed:  # a bug in one of them is no fault of the others
                self._call(self._deliver)


def _pass_on(here: asyncio.Future[Receipt], answer: Promise) -> None:
    if here.done():
        return
    outcome = answer.outcome()
    if isinstance(outcome, Exception):
        here.set_exception(outcome)
    else:
        here.set_result(outcome)


class _Here(threading.local):
    """The one of the event loop that runs in this thread, or ran in it last."""

    handover: Handover | None = None


_here = _Here()


def handover() -> Handover:
    """That of the event loop that runs here."""
    loop = asyncio.get_running_loop()
    found = _here.handover
    if found is None or found.loop is not loop:
        found = _here.handover = Handover(loop)
    return found


async def answered(answer: Promise) -> Receipt:
    """The receipt of a command, or the error in its place, without keeping the loop waiting."""
    return await handover().receive(answer)
