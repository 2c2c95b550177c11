"""The follower: it rests between batches, and goes on at once when somebody waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from api.node import Node
from commands.base import handle
from commands.lead import CaptureLead
from eventstore.envelope import uuid7
from eventstore.writer import Context
from projections import follower

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = 60.0


@pytest.fixture
def node(tmp_path: Path, database_url: str, monkeypatch) -> Iterator[Node]:
    monkeypatch.setattr(follower, "REST_SECONDS_MAX", LONG)
    monkeypatch.setattr(follower, "REST_SHARE", float("inf"))
    with Node.open(tmp_path, database_url) as started:
        yield started


def capture(node: Node) -> int:
    context = Context(actor=UUID(int=1), correlation_id=uuid7())
    command = CaptureLead(name="Ann", source="web")
    return handle(node.writer, command, uuid7(), context).result(30).position


def test_events_after_a_batch_are_left_to_come_together(node: Node):
    first = capture(node)
    assert node.follower.wait_for(first, 30)
    second = capture(node)
    time.sleep(1.5)
    assert node.follower.position < second


def test_whoever_waits_does_not_wait_for_the_rest(node: Node):
    for _ in range(3):
        assert node.follower.wait_for(capture(node), 30)


def test_a_position_that_never_comes_ends_no_rest(node: Node):
    first = capture(node)
    assert not node.follower.wait_for(10**9, 0.1)
    assert node.follower.wait_for(first, 30)
    second = capture(node)
    time.sleep(1.5)
    assert node.follower.position < second


def test_stopping_does_not_wait_for_the_rest(node: Node):
    assert node.follower.wait_for(capture(node), 30)
    capture(node)
    began = time.monotonic()
    node.follower.stop()
    assert time.monotonic() - began < LONG / 2
