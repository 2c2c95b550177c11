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
    from readmodels.base import Database

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


def lengthen(database: Database, dimension: str, versions: int) -> tuple[int, int]:
    """Copy the rows of a dimension under other ids, in the order of the log.

    Returns how many closed versions and how many current rows there are then.
    """
    parts = f"stored.{dimension}_past", f"stored.{dimension}_current"
    with database.connection() as connection:

        def count(part: str) -> int:
            [(rows,)] = connection.execute(f"SELECT count(*) FROM {part}").fetchall()
            return int(rows)

        copies = -(-versions // max(1, count(parts[0])))
        for part in parts:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE copied AS FROM {part}")
            connection.execute(
                f"INSERT INTO {part} SELECT * EXCLUDE (n) "
                "REPLACE (md5(id::VARCHAR || n::VARCHAR)::UUID AS id) "
                f"FROM copied, range(1, {copies}) AS copy(n) ORDER BY position"
            )
        connection.execute("DROP TABLE copied")
        found = count(parts[0]), count(parts[1])
    database.checkpoint()
    return found


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
