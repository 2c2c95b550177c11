"""Streams that are long, and streams that everybody wants at once."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from api.node import Node
from commands.base import handle
from commands.clock import TickClock
from commands.lead import CaptureLead, EngageLead
from eventstore.envelope import uuid7
from eventstore.reservations import AlreadyHeld
from eventstore.workspace import Workspace
from eventstore.writer import Context, Receipt, Writer
from tests.doors import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands.base import Command
    from eventstore.envelope import RecordedEvent

ANN = UUID(int=1)
LONG = 10_000
CLIENTS, CALLS = 64, 8
ENGAGE = EngageLead(kind="call")


class Reading:
    """Counts the events that are read of streams."""

    def __init__(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events = 0
        read = workspace.log.stream_in

        def counted(*arguments: Any) -> list[RecordedEvent]:
            found = read(*arguments)
            self.events += len(found)
            return found

        monkeypatch.setattr(workspace.log, "stream_in", counted)


@pytest.fixture
def reading(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(workspace, monkeypatch)


def do(writer: Writer, command: Command[Any], lead: UUID) -> Receipt:
    return handle(writer, command, lead, Context(actor=ANN, correlation_id=uuid7())).result(60)


def a_lead(writer: Writer, events: int) -> UUID:
    """A lead with so many events."""
    lead = uuid7()
    do(writer, CaptureLead(name="Ann Example", source="web"), lead)
    asked = [
        handle(writer, ENGAGE, lead, Context(actor=ANN, correlation_id=uuid7()))
        for _ in range(events - 1)
    ]
    assert [answer.result(60).version for answer in asked[-1:]] == [events] * (events > 1)
    return lead


def test_a_command_on_a_long_stream_reads_none_of_it(workspace: Workspace, reading: Reading):
    with Writer(workspace.log) as writer:
        long, short = a_lead(writer, LONG - 1), a_lead(writer, 9)
        assert do(writer, ENGAGE, long).version == LONG
        assert do(writer, ENGAGE, short).version == 10
        assert reading.events == 0
        # A refusal over something else leaves what is known of the stream alone.
        taken = CaptureLead(name="Bob", email="bob@example.com", source="web")
        do(writer, taken, uuid7())
        with pytest.raises(AlreadyHeld):
            do(writer, taken, uuid7())
        assert do(writer, ENGAGE, long).version == LONG + 1
        assert reading.events == 0


def test_a_long_stream_is_read_once_and_nobody_waits_for_it_elsewhere(
    workspace: Workspace, database_url: str, reading: Reading, monkeypatch: pytest.MonkeyPatch
):
    with Workspace.open(workspace.directory, database_url) as elsewhere:
        with Writer(elsewhere.log) as before:
            lead = a_lead(before, LONG)
        begun, go_on = threading.Event(), threading.Event()
        read = workspace.log.read_stream

        def slowly(*arguments: Any) -> list[RecordedEvent]:
            begun.set()
            go_on.wait(60)
            return read(*arguments)

        monkeypatch.setattr(workspace.log, "read_stream", slowly)
        with Writer(workspace.log) as cold, Writer(elsewhere.log) as other:
            context = Context(actor=ANN, correlation_id=uuid7())
            asked = handle(cold, ENGAGE, lead, context)
            assert begun.wait(60)
            assert do(other, CaptureLead(name="Bob", source="web"), uuid7()).version == 1
            assert do(other, ENGAGE, lead).version == LONG + 1
            go_on.set()
            assert asked.result(60).version == LONG + 2
            assert do(cold, ENGAGE, lead).version == LONG + 3
        assert reading.events <= LONG + 2


def test_an_id_of_another_kind_is_refused_however_long_its_stream(workspace: Workspace):
    with Writer(workspace.log) as writer:
        lead = a_lead(writer, 600)
    with Writer(workspace.log) as writer:
        context = Context(actor=ANN, correlation_id=uuid7())
        tick = TickClock(moment="2026-01-31T10:00:00Z")
        refused = handle(writer, tick, lead, context).exception(60)
        assert type(refused).__name__ == "WrongAggregate"
        assert do(writer, ENGAGE, lead).version == 601


@pytest.fixture
def node(tmp_path: Path, database_url: str) -> Iterator[Node]:
    with Node.open(tmp_path, database_url) as started:
        yield started


def test_many_clients_of_one_record_come_forward_together(node: Node):
    with Writer(node.workspace.log) as writer:
        lead = a_lead(writer, 1)
    key = node.api_keys.create(ANN)

    async def client(address: str, number: int) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=100) as http:
            for _ in range(CALLS):
                body = {"kind": "call", "note": str(number)}
                reply = await http.post(f"/leads/{lead}/engage", json=body)
                assert reply.status_code == 200

    async def all_of_them(address: str) -> None:
        await asyncio.gather(*(client(address, number) for number in range(CLIENTS)))

    with listening(node) as address:
        asyncio.run(all_of_them(address))
        engaged = [recorded.event for recorded in node.workspace.log.read_stream(lead, 1)]
    assert [event.engagements for event in engaged] == list(range(1, CLIENTS * CALLS + 1))  # type: ignore[attr-defined]
    done: Counter[str] = Counter()
    for event in engaged:
        done[event.note] += 1  # type: ignore[attr-defined]
        if max(done.values()) == CALLS:
            break
    # When the first has finished, nobody has been left behind.
    assert len(done) == CLIENTS
    assert min(done.values()) >= CALLS // 2
