"""Reading the log, and what followers append together with their bookmark."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError

from commands.base import handle
from commands.lead import CaptureLead, QualifyLead
from domain.base import HIDDEN
from domain.clock import CLOCK, ClockTicked
from eventstore.envelope import NewEvent, uuid7
from eventstore.listener import Listener
from eventstore.log import ARROW, IN_ORDER
from eventstore.transaction import PIECE
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer

if TYPE_CHECKING:
    from pathlib import Path

CAPTURE = CaptureLead.model_validate(CaptureLead.example)
QUALIFY = QualifyLead.model_validate(QualifyLead.example)


@pytest.fixture
def lead(workspace: Workspace) -> UUID:
    found = uuid7()
    with Writer(workspace.log) as writer:
        for command in (CAPTURE, QUALIFY):
            context = Context(actor=UUID(int=3), correlation_id=uuid7())
            handle(writer, command, found, context).result(10)
    return found


def test_events_come_back_as_the_values_they_were(workspace: Workspace, lead: UUID):
    captured, qualified = workspace.log.read_stream(lead)
    assert captured.event.email == "ann@example.com"  # type: ignore[attr-defined]
    assert captured.event.company == "Example Ltd"  # type: ignore[attr-defined]
    assert qualified.version == 2
    assert qualified.actor == UUID(int=3)


@pytest.mark.usefixtures("lead")
def test_many_events_at_once_are_read_in_their_order_and_not_sorted(workspace: Workspace):
    log = workspace.log
    assert len(log.read_arrow(0, 100_000)) == 2
    asked = ARROW.format(schema=log.schema, after=0, limit=100_000, which="true")
    with psycopg.connect(log.conninfo, options=IN_ORDER.format(log.schema)) as connection:
        plan = str(connection.execute(f"EXPLAIN {asked}").fetchall())
    assert "Index Scan using" in plan
    assert "Sort" not in plan


def test_the_log_can_be_read_by_stream_type_actor_and_range(workspace: Workspace, lead: UUID):
    log = workspace.log
    assert [r.event.type for r in log.read(types=["lead.qualified.v1"])] == ["lead.qualified.v1"]
    assert len(list(log.read(types=["lead"]))) == 2
    assert list(log.read(types=["deal"])) == []
    assert len(list(log.read(stream=lead))) == 2
    assert list(log.read(actor=UUID(int=4))) == []
    first = next(log.read(limit=1)).position
    assert [r.position > first for r in log.read(after=first)] == [True]
    assert [r.position for r in log.read(until=first)] == [first]


def test_without_keys_personal_fields_are_hidden(workspace: Workspace, lead: UUID):
    url = workspace.database_url
    with Workspace.open(workspace.directory, url, keys=False) as blind:
        captured, _ = blind.log.read_stream(lead)
        assert captured.event.email is HIDDEN  # type: ignore[attr-defined]
        assert captured.event.source == "website"  # type: ignore[attr-defined]


def test_personal_values_are_not_in_the_database(workspace: Workspace, lead: UUID):
    table = workspace.log.read_arrow(0, 10)
    stored = b"".join(table["data"].to_pylist())
    assert b"Example Ltd" in stored
    assert b"ann@example" not in stored
    assert b"Ann Example" not in stored
    assert str(lead).encode() in stored


def test_arrow_and_objects_tell_the_same(workspace: Workspace, lead: UUID):
    rows = workspace.log.read_arrow(0, 10).to_pylist()
    events = list(workspace.log.read())
    assert {row["stream_id"] for row in rows} == {lead.bytes}
    assert [row["position"] for row in rows] == [r.position for r in events]
    assert [row["type"] for row in rows] == [r.event.type for r in events]
    assert [row["recorded_at"] for row in rows] == [r.recorded_at for r in events]


@pytest.mark.usefixtures("lead")
def test_a_moment_has_a_position(workspace: Workspace):
    log = workspace.log
    assert log.position_at(datetime.now(UTC) + timedelta(days=1)) == log.last_position()
    assert log.position_at(datetime(2000, 1, 1, tzinfo=UTC)) == 0


def test_waiting_ends_with_the_next_commit(workspace: Workspace):
    assert not workspace.log.wait(0, 0.05)
    with Writer(workspace.log) as writer:
        context = Context(actor=UUID(int=3), correlation_id=uuid7())
        timer = threading.Timer(0.3, handle, (writer, CAPTURE, uuid7(), context))
        timer.start()
        started = time.monotonic()
        assert workspace.log.wait(0, 10)
        assert time.monotonic() - started < 5
        timer.join()


def test_a_commit_tells_its_position_to_whoever_waits(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    log = workspace.log
    with Writer(log) as writer:
        assert not log.wait(0, 0.0)
        with monkeypatch.context() as patched:
            patched.delattr(Listener, "_look")
            context = Context(actor=UUID(int=3), correlation_id=uuid7())
            position = handle(writer, CAPTURE, uuid7(), context).result(10).position
            assert log.wait(0, 10) == position
    with log.cursor() as cursor:  # as the library tells it
        cursor.execute(f"NOTIFY {log.envelopes.channel_name}")
    assert not log.wait(position, 0.05)
    log.wait_no_more()
    assert log.wait(0, 10) == position


def test_a_commit_in_another_workspace_of_the_database_is_not_told(
    workspace: Workspace, tmp_path: Path
):
    with Workspace.open(tmp_path, workspace.database_url, "other") as other:
        assert not workspace.log.wait(0, 0.0)
        with other.log.transaction() as turn:
            turn.append([tick(1)])
        assert other.log.wait(0, 10) == other.log.last_position()
        assert not workspace.log.wait(0, 0.5)


def tick(version: int, event_id: UUID | None = None) -> NewEvent:
    return NewEvent(
        event_id=event_id or uuid7(),
        stream_id=CLOCK,
        version=version,
        occurred_at=None,
        actor=UUID(int=3),
        correlation_id=uuid7(),
        causation_id=None,
        event=ClockTicked(moment=datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=version)),
    )


def test_events_and_the_bookmark_are_stored_together_or_not_at_all(workspace: Workspace):
    log = workspace.log
    with log.transaction() as turn:
        turn.append([tick(1)])
        turn.track("follower", 10)
    with pytest.raises(IntegrityError), log.transaction() as turn:
        turn.append([tick(2)])
        turn.track("follower", 10)
    assert [r.version for r in log.read()] == [1]
    assert log.bookmarks.max_tracking_id("follower") == 10


def test_a_version_that_is_taken_is_an_integrity_error(workspace: Workspace):
    with workspace.log.transaction() as turn:
        turn.append([tick(1)])
    with pytest.raises(IntegrityError), workspace.log.transaction() as turn:
        turn.append([tick(1)])


@pytest.mark.parametrize("count", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 1])
def test_many_events_are_stored_in_their_order_at_the_positions_that_were_told(
    workspace: Workspace, count: int
):
    with workspace.log.transaction() as turn:
        positions = turn.append([tick(version) for version in range(1, count + 1)])
    stored = list(workspace.log.read())
    assert [r.version for r in stored] == list(range(1, count + 1))
    assert [r.position for r in stored] == positions
    assert len({r.recorded_at for r in stored}) == 1


@pytest.mark.parametrize("taken", [1, PIECE + 1, 2 * PIECE + 5])
def test_of_many_events_none_is_stored_when_one_cannot_be(workspace: Workspace, taken: int):
    """Whichever piece it is in: one that was sent long before, or the last."""
    log = workspace.log
    with log.transaction() as turn:
        turn.append([tick(taken)])
    with pytest.raises(IntegrityError), log.transaction() as turn:
        turn.append([tick(version) for version in range(1, 2 * PIECE + 6)])
    assert [r.version for r in log.read()] == [taken]
    with log.transaction() as turn:  # and the connection goes on
        turn.append([tick(taken + 1)])
    assert [r.version for r in log.read()] == [taken, taken + 1]


def test_an_event_id_is_stored_once(workspace: Workspace):
    event_id = uuid7()
    with workspace.log.transaction() as turn:
        turn.append([tick(1, event_id)])
    with pytest.raises(IntegrityError), workspace.log.transaction() as turn:
        turn.append([tick(2, event_id)])


def test_the_key_of_a_person_is_made_with_their_first_event_or_not_at_all(workspace: Workspace):
    lead = uuid7()
    context = Context(actor=UUID(int=3), correlation_id=uuid7())
    captured = next(iter(CAPTURE.decide_in(None, _blank())))
    new = NewEvent(lead, lead, 1, None, context.actor, lead, None, captured)
    with pytest.raises(ZeroDivisionError), workspace.log.transaction() as turn:
        turn.append([new])
        raise ZeroDivisionError
    with workspace.log.transaction() as turn:
        turn.append([new])
    with Workspace.open(workspace.directory, workspace.database_url) as again:
        (recorded,) = again.log.read_stream(lead)
        assert recorded.event == captured


def _blank():
    from domain.lead import Lead  # noqa: PLC0415

    return Lead()
