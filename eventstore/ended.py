"""Records that ended, and from when on what is known of them has been kept long enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from psycopg.sql import SQL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.base import Event
    from eventstore.log import Log

# From when on an event counts is never before it occurred, so most rows are left out early.
ENDED = """
    WITH newest AS (
        SELECT DISTINCT ON (originator_id) originator_id AS id, originator_version AS version,
            topic, occurred_at
        FROM {table} WHERE topic = ANY(%(types)s) AND notification_id <= %(until)s
        ORDER BY originator_id, originator_version DESC
    ), ended AS (
        SELECT id, version, (
            SELECT max(occurred_at) FROM {table}
            WHERE originator_id = id AND originator_version <= version
        ) AS ended_at
        FROM newest WHERE topic = ANY(%(ends)s)
            AND occurred_at AT TIME ZONE 'UTC' + %(keep_for)s::interval
                <= %(moment)s AT TIME ZONE 'UTC'
    ), due AS (
        SELECT *, (ended_at AT TIME ZONE 'UTC' + %(keep_for)s::interval) AT TIME ZONE 'UTC'
            AS due_at
        FROM ended
    )
    SELECT * FROM due WHERE due_at <= %(moment)s ORDER BY due_at, id
"""


class Ended(NamedTuple):
    """A record, the version it ended with, when that counts from, and until when it is kept."""

    id: UUID
    version: int
    ended_at: datetime
    due_at: datetime


def ended(
    log: Log,
    ends: Sequence[type[Event]],
    undone_by: Sequence[type[Event]],
    *,
    keep_for: str,
    moment: datetime,
    until: int,
) -> list[Ended]:
    """Records kept for a period by a moment, as the log was at a position, the oldest first.

    They ended with one of `ends`, and nothing undid that since. A period is an ISO 8601 duration,
    counted in UTC. Those whose subjects were forgotten are left out.
    """
    values = {
        "types": [*_stored(ends), *_stored(undone_by)],
        "ends": _stored(ends),
        "keep_for": keep_for,
        "moment": moment,
        "until": until,
    }
    with log.cursor() as cursor:
        log.forgotten.heed(cursor)
        cursor.execute(SQL(ENDED).format(table=log.table), values)
        found = [Ended(**row) for row in cursor.fetchall()]
    return [one for one in found if one.id not in log.forgotten.gone]


def _stored(events: Sequence[type[Event]]) -> list[str]:
    return [name for event in events for name in (event.type, *event.lifts)]
