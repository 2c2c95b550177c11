"""What the log holds of rows that were imported before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventstore import arrays
from imports.runs import revert_id
from imports.spill import key_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import Cursor
    from psycopg.rows import DictRow

    from eventstore.log import Log
    from imports.rows import Row
    from imports.spill import Spill

# LATERAL: one look into the index per record, however little the planner knows of the table.
# Planned anew each time: a plan made while the table was small would scan it for ever.
EXISTING = """
SELECT id FROM unnest(%b::uuid[]) AS wanted(id) CROSS JOIN LATERAL (
    SELECT FROM log_events WHERE originator_id = id AND originator_version = 1 LIMIT 1
) AS found
"""
VERSIONS = """
SELECT row_id, latest, versions, runs, reverts
FROM unnest(%b::uuid[], %b::uuid[]) AS wanted(stream_id, row_id),
    (SELECT %b::uuid[] AS by) AS taking_back
CROSS JOIN LATERAL (
    SELECT max(occurred_at) AS latest,
        array_agg(causation_id ORDER BY originator_version) FILTER (WHERE is_row) AS versions,
        array_agg(correlation_id ORDER BY originator_version) FILTER (WHERE is_row) AS runs,
        array_agg(DISTINCT correlation_id) FILTER (WHERE correlation_id = ANY(by)) AS reverts
    FROM log_events, LATERAL (
        SELECT substr(uuid_send(causation_id), 1, 8) = substr(uuid_send(row_id), 1, 8) AS is_row
    ) AS caused
    WHERE originator_id = stream_id
) AS found
WHERE latest IS NOT NULL
"""
RECORDED = "SELECT event_id FROM log_events WHERE event_id = ANY(%b::uuid[])"


@dataclass(frozen=True, slots=True)
class Past:
    """A row and its record, as the log knows them."""

    latest: datetime | None = None
    """When the record's latest event happened."""
    versions: tuple[UUID, ...] = ()
    """The versions in which the row was imported, oldest first, but for those taken back."""
    taken_back: int = 0
    """How many runs were taken back that had to do with the record."""

    def revision(self, version: UUID) -> int:
        """Which change of its record a version of the row is; 0: it makes the record."""
        known = len(self.versions)
        return known - 1 if known and self.versions[-1] == version else known


BLANK = Past()


def versions_of(log: Log, rows: Sequence[Row], reverts: Sequence[UUID]) -> dict[UUID, Past]:
    """What the log knows of rows, by their ids; rows whose records it has not are left out.

    `reverts` are the correlations by which runs are taken back.
    """
    with log.cursor() as cursor:
        there = existing(cursor, [row.stream_id for row in rows])
        if not there:
            return {}
        known = [row for row in rows if row.stream_id in there]
        asked = [row.stream_id for row in known], [row.id for row in known], reverts
        cursor.execute(VERSIONS, [arrays.ids(ids) for ids in asked], prepare=False)
        return {row["row_id"]: _past(row) for row in cursor.fetchall()}


def existing(cursor: Cursor[DictRow], ids: Sequence[UUID]) -> set[UUID]:
    """Which of these records the log has."""
    cursor.execute(EXISTING, (arrays.ids(ids),), prepare=False)
    return {row["id"] for row in cursor.fetchall()}


def _past(row: DictRow) -> Past:
    reverts = set(row["reverts"] or ())
    versions = [
        version
        for version, run in zip(row["versions"] or (), row["runs"] or (), strict=True)
        if not reverts or revert_id(run) not in reverts
    ]
    return Past(row["latest"], tuple(_unrepeated(versions)), len(reverts))


def recorded(log: Log, event_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these events the log has."""
    if not event_ids:
        return set()
    with log.cursor() as cursor:
        cursor.execute(RECORDED, (arrays.ids(event_ids),), prepare=False)
        return {row["event_id"] for row in cursor.fetchall()}


class Records:
    """Which records there are that rows may refer to: those of this run, and those of the log."""

    def __init__(self, log: Log, kinds: Collection[str], spill: Spill) -> None:
        self.log, self.kinds, self.spill = log, kinds, spill

    def add(self, kind: str, id: UUID) -> None:
        """There is this record now."""
        if kind in self.kinds:
            self.spill.set_default(key_of(id), 1)

    def lacking(self, ids: Iterable[UUID]) -> set[UUID]:
        """Which of these there are not."""
        unsure = {id_ for id_ in set(ids) if not self.spill.has(key_of(id_))}
        if not unsure:
            return unsure
        with self.log.cursor() as cursor:
            found = existing(cursor, list(unsure))
        for id_ in found:
            self.spill.set_default(key_of(id_), 1)
        return unsure - found


def _unrepeated(versions: Sequence[UUID]) -> list[UUID]:
    """Versions without immediate repetition: A A B A -> A B A."""
    return [
        version
        for number, version in enumerate(versions)
        if not number or versions[number - 1] != version
    ]
