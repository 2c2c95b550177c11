"""An answer reaches everybody who waits for it, once, from whatever thread."""

from __future__ import annotations

import sys
import threading
from functools import partial
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from domain.base import Refusal
from eventstore.intent import Receipt
from eventstore.promise import Promise

RECEIPT = Receipt(UUID(int=1), 1, 1, 1)
MOMENTS = 3_000


class NotToday(Refusal):
    """Not today."""


def test_who_asks_before_and_who_asks_after_is_told_the_same():
    promise, told = Promise(), []
    promise.add_done_callback(lambda done: told.append(done.result()))
    assert (promise.done(), told) == (False, [])
    promise.keep(RECEIPT)
    promise.add_done_callback(lambda done: told.append(done.result()))
    assert (promise.done(), promise.exception(), told) == (True, None, [RECEIPT, RECEIPT])


def test_a_refusal_is_raised_where_a_receipt_is_wanted():
    promise = Promise(NotToday())
    assert isinstance(promise.exception(), NotToday)
    for _ in range(2):
        with pytest.raises(NotToday):
            promise.result()


def test_nobody_waits_longer_than_he_wants_to():
    promise = Promise()
    with pytest.raises(TimeoutError):
        promise.result(0.01)
    threading.Timer(0.05, promise.keep, [RECEIPT]).start()
    assert promise.result(30) == RECEIPT


def test_who_cannot_be_told_keeps_nobody_else_from_being_told():
    first, second = Promise(), Promise()
    first.add_done_callback(lambda _: 1 / 0)
    with capture_logs() as lines:
        first.keep(RECEIPT)
        second.keep(RECEIPT)
    assert [line["event"] for line in lines] == ["answer not taken"]
    assert second.result() == first.result() == RECEIPT


def test_who_asks_in_the_very_moment_is_told_once():
    told: list[int] = []

    def note(number: int, _: Promise) -> None:
        told.append(number)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(MOMENTS):
            promise, kept = Promise(), threading.Event()

            def keep(promise: Promise = promise, kept: threading.Event = kept) -> None:
                promise.keep(RECEIPT)
                kept.set()

            threading.Thread(target=keep).start()
            asked = 0
            while not kept.is_set():
                asked += 1
                promise.add_done_callback(partial(note, asked))
            assert sorted(told) == list(range(1, asked + 1))
            told.clear()
    finally:
        sys.setswitchinterval(before)
