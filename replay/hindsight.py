"""Hindsight: what we knew of a moment then, as against what had happened by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.sql import SQL

from replay.base import Bounds, StreamUnknown, read_stream, replayed
from replay.history import Change, Happening, aggregate, changes, told
from replay.people import People

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from eventstore.log import Log


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What had happened by a moment and was recorded only after it."""

    moment: datetime
    known_at: int
    """The last position in the log then."""
    stream_id: UUID | None
    aggregate: str | None
    changes: tuple[Change, ...]
    """What the record looked like then (old), and what it was in truth (new)."""
    late: tuple[Happening, ...]
    """The events that tell so, in the order of the log; no more than were asked for."""


def hindsight(
    log: Log, moment: datetime, stream_id: UUID | None = None, limit: int = 100
) -> Hindsight:
    """What was not known yet at a moment, of one record or of all."""
    position, people = log.position_at(moment), People(log)
    if stream_id is None:
        where = SQL("notification_id > %s AND occurred_at <= %s ORDER BY notification_id LIMIT %s")
        with log.cursor() as cursor:
            rows = log.envelopes.select_envelopes(cursor, where, (position, moment, limit))
            late = log.open_rows(cursor, rows)
        found = tuple(told(one, one.occurred_at, people) for one in late)
        return Hindsight(moment, position, None, None, (), found)
    events = read_stream(log, stream_id)
    if not events:
        raise StreamUnknown(f"there is no record {stream_id}")
    then = list(replayed(events, log, Bounds(moment, position)))
    truth = list(replayed(events, log, Bounds(moment)))
    return Hindsight(
        moment,
        position,
        stream_id,
        aggregate(events[0]),
        changes(then[-1].record if then else {}, truth[-1].record if truth else {}),
        tuple(told(s.recorded, s.effective_at, people) for s in truth[len(then) :][:limit]),
    )
