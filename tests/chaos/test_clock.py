"""The clock of the database jumps backwards: the log does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from commands.base import handle
from commands.lead import CaptureLead, EngageLead
from eventstore.envelope import uuid7
from eventstore.errors import OccurredInTheFuture
from eventstore.writer import Context, Writer

if TYPE_CHECKING:
    from eventstore.workspace import Workspace

AHEAD = timedelta(days=1)


def ask(occurred_at: datetime | None = None) -> Context:
    return Context(actor=UUID(int=1), correlation_id=uuid7(), occurred_at=occurred_at)


def test_recorded_at_never_runs_backwards(workspace: Workspace):
    """What was recorded last was recorded by a clock a day ahead, which was then set right."""
    lead = uuid7()
    engage = EngageLead(kind="call")
    with Writer(workspace.log) as writer:
        handle(writer, CaptureLead(name="Ann", source="web"), lead, ask()).result(30)
        with psycopg.connect(workspace.database_url) as connection:
            connection.execute(
                "UPDATE backstory_default.log_events SET recorded_at = recorded_at + %s", [AHEAD]
            )
        yesterday = datetime.now(UTC)
        for moment in (None, yesterday):
            handle(writer, engage, lead, ask(moment)).result(30)
        with pytest.raises(OccurredInTheFuture):
            handle(writer, engage, lead, ask(yesterday + 2 * AHEAD)).result(30)
    captured, first, second = workspace.log.read()
    assert captured.recorded_at == first.recorded_at == second.recorded_at
    assert first.occurred_at == first.recorded_at
    assert second.occurred_at == yesterday
    assert workspace.log.position_at(yesterday) == 0
    assert workspace.log.position_at(first.recorded_at) == second.position


def test_a_clock_that_stands_still_is_no_obstacle(workspace: Workspace):
    with Writer(workspace.log) as writer:
        asked = [
            handle(writer, CaptureLead(name=f"Lead {n}", source="web"), uuid7(), ask())
            for n in range(50)
        ]
        positions = [answer.result(30).position for answer in asked]
    recorded = list(workspace.log.read())
    assert [one.position for one in recorded] == positions
    times = [one.recorded_at for one in recorded]
    assert times == sorted(times)
    assert len(set(times)) < len(times)
