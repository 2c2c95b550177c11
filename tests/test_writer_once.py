"""Commands that count once: the second time they are answered as they were the first time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from commands.base import Command, handle
from commands.conversion import ConvertLead
from commands.lead import AssignLead, CaptureLead, EngageLead, QualifyLead, RecycleLead
from domain.lead import LeadNotDisqualified
from eventstore.envelope import uuid7
from eventstore.writer import Context, IdempotencyKey, Receipt, Writer
from tests.test_writer import hold
from tests.waiting import wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.workspace import Workspace

ANN = UUID(int=1)
CAPTURE = CaptureLead(name="Ann Example", company="Example Ltd", source="web")
ENGAGE = EngageLead(kind="call")


@pytest.fixture
def writer(workspace: Workspace) -> Iterator[Writer]:
    with Writer(workspace.log) as started:
        yield started


def once(command_id: UUID, *, derived: bool = False) -> Context:
    key = IdempotencyKey(b"scope", str(command_id), b"", derived=True) if derived else None
    return Context(actor=ANN, correlation_id=uuid7(), command_id=command_id, once=True, key=key)


def do(
    writer: Writer, command: Command[Any], lead: UUID, context: Context | None = None
) -> Receipt:
    return handle(writer, command, lead, context or once(uuid7())).result(30)


def replies(workspace: Workspace) -> int:
    with workspace.log.cursor() as cursor:
        cursor.execute("SELECT count(*) AS n FROM idempotency")
        row = cursor.fetchone()
        return int(row["n"]) if row else 0


def test_many_events_on_many_streams_are_answered_as_then(writer: Writer):
    lead, conversion = uuid7(), uuid7()
    do(writer, CAPTURE, lead)
    do(writer, QualifyLead(budget=3, authority=3, need=3, timeline=3), lead)
    first = do(writer, ConvertLead(), lead, once(conversion))
    do(writer, CAPTURE, uuid7())
    again = do(writer, ConvertLead(), lead, once(conversion))
    assert first.events > 2
    assert (again.version, again.position, again.events) == (first.version, first.position, 0)


def test_later_events_of_the_stream_do_not_change_the_answer(writer: Writer):
    lead, call = uuid7(), uuid7()
    do(writer, CAPTURE, lead)
    first = do(writer, ENGAGE, lead, once(call))
    do(writer, ENGAGE, lead)
    again = do(writer, ENGAGE, lead, once(call))
    assert (again.version, again.position) == (first.version, first.position) == (2, first.position)


def test_asked_twice_in_one_commit_it_is_answered_twice_the_same(
    writer: Writer, workspace: Workspace
):
    lead, call, pause = uuid7(), uuid7(), threading.Event()
    do(writer, CAPTURE, lead)
    blocker = hold(writer, pause)
    asked = [handle(writer, ENGAGE, lead, once(call)) for _ in range(3)]
    other = handle(writer, ENGAGE, lead, once(uuid7()))
    pause.set()
    wait([blocker, other, *asked])
    told = [answer.result() for answer in asked]
    assert {(one.version, one.position) for one in told} == {(2, other.result().position - 1)}
    assert [one.events for one in told] == [1, 0, 0]
    assert len(workspace.log.read_stream(lead)) == 3


def test_what_is_true_because_of_the_same_commit_is_told_with_its_position(writer: Writer):
    lead, pause = uuid7(), threading.Event()
    blocker = hold(writer, pause)
    first = handle(writer, CAPTURE, lead, once(uuid7()))
    again = handle(writer, CAPTURE, lead, once(uuid7()))
    pause.set()
    wait([blocker, first, again])
    assert again.result().events == 0
    assert again.result().position == first.result().position


def test_only_what_appended_nothing_is_kept_beside_the_log(writer: Writer, workspace: Workspace):
    lead = uuid7()
    ids = [uuid7() for _ in range(3)]
    first = do(writer, CAPTURE, lead, once(ids[0], derived=True))
    assert replies(workspace) == 0
    nothing = do(writer, CAPTURE, lead, once(ids[1], derived=True))
    with pytest.raises(LeadNotDisqualified):
        do(writer, RecycleLead(reason="x"), lead, once(ids[2], derived=True))
    assert replies(workspace) == 2
    do(writer, AssignLead(owner=ANN), lead)
    assert do(writer, CAPTURE, lead, once(ids[0], derived=True)).position == first.position
    assert do(writer, CAPTURE, lead, once(ids[1], derived=True)) == nothing
    with pytest.raises(LeadNotDisqualified):
        do(writer, RecycleLead(reason="x"), lead, once(ids[2], derived=True))
    assert replies(workspace) == 2
