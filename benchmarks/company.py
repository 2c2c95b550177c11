"""A log to measure on: two years of a small company, or the same of many companies."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, count, islice
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from cli.demo.history import history, tell
from eventstore.envelope import NewEvent
from eventstore.writer import Writer
from learning import LEARNERS
from learning.follower import catch_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from domain.base import Event
    from eventstore.envelope import RecordedEvent
    from eventstore.workspace import Workspace

END = datetime(2026, 7, 1, tzinfo=UTC)
"""The last day of the history."""

COPIES = UUID("6f0d0f4c-8e8b-5c8e-9d0b-5a0c7f1e2d33")
BATCH_EVENTS = 2_000
COMMON = ("user", "pipeline", "custom_fields", "clock")
"""What companies share, so that everything that names it still does."""


def found(workspace: Workspace, events: int | None = None) -> None:
    """Tell the first `events` steps of the history, or all of it, and let learners speak."""
    with Writer(workspace.log) as writer:
        tell(history(END)[:events], writer, lambda _: None)
    catch_up(workspace, LEARNERS, lambda _: None)


def multiply(workspace: Workspace, events: int) -> int:
    """Let other companies live through the same until the log has so many; returns how many."""
    log = workspace.log
    originals = list(log.read())
    own = [one for one in originals if one.event.type.split(".")[0] not in COMMON]
    streams = {one.stream_id for one in own}
    copies = chain.from_iterable(_copied(own, streams, number) for number in count(1))
    missing = max(0, events - len(originals))
    while batch := list(islice(copies, min(BATCH_EVENTS, missing))):
        with log.transaction() as turn:
            turn.append(batch)
        missing -= len(batch)
    return max(events, len(originals))


def _copied(originals: list[RecordedEvent], streams: set[UUID], number: int) -> Iterator[NewEvent]:
    """The same events under other ids."""
    company = uuid5(COPIES, str(number))
    ids: Mapping[UUID, UUID] = {id: uuid5(company, str(id)) for id in streams}
    for one in originals:
        yield NewEvent(
            event_id=uuid5(company, str(one.event_id)),
            stream_id=ids[one.stream_id],
            version=one.version,
            occurred_at=one.occurred_at,
            actor=one.actor,
            correlation_id=one.correlation_id,
            causation_id=one.causation_id,
            event=_naming(one.event, ids),
        )


def _naming(event: Event, ids: Mapping[UUID, UUID]) -> Event:
    """The same event, about the others."""
    named = {
        name: ids[value]
        for name, value in event.__dict__.items()
        if isinstance(value, UUID) and value in ids
    }
    return event.model_copy(update=named) if named else event
