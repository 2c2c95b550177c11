"""The records that a run had to do with, and what happened to them before and since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domain import AGGREGATES
from domain.base import State, aggregate_of
from imports.runs import APART, MAKING, runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from psycopg.rows import DictRow

    from eventstore.log import Log
    from imports.runs import Run

CHUNK = 500
STATES = {aggregate_of(of): of for of in AGGREGATES}

TOUCHED = """
SELECT originator_id AS id, notification_id AS position FROM log_events AS done
WHERE notification_id > %s AND notification_id < %s AND correlation_id = %s
    AND split_part(topic, '.', 1) <> ALL(%s)
    AND NOT EXISTS (SELECT FROM log_events AS before
        WHERE before.originator_id = done.originator_id
            AND before.originator_version = done.originator_version - 1
            AND before.correlation_id = done.correlation_id)
ORDER BY notification_id DESC LIMIT %s
"""
HISTORIES = """
SELECT originator_id AS id, originator_version AS version, topic, correlation_id, actor,
    recorded_at, occurred_at, notification_id AS position, event_id
FROM log_events WHERE originator_id = ANY(%s) ORDER BY originator_id, originator_version
"""


@dataclass(slots=True)
class Touched:
    """A record that the run had to do with; `rows` are the envelopes of all its events."""

    id: UUID
    rows: Sequence[DictRow]
    of: type[State[Any]]
    kind: str
    first: int
    """The number of the run's first event in it, from 0."""
    last: int
    made: bool
    since: DictRow | None
    """The first event of somebody else after that."""
    done: bool
    """Whether it was taken back already."""


class Records:
    """The records that a run had to do with, those touched last first; a chunk in memory."""

    def __init__(self, log: Log, run: Run) -> None:
        self.log, self.run = log, run
        others = [other for other in runs(log) if other.id != run.id]
        self._reverted = {o.id: o.revert_id for o in others if o.state.status == "reverted"}

    def __iter__(self) -> Iterator[Touched]:
        """The records that the run had to do with, those touched last first."""
        before = self.log.last_position() + 1
        while True:
            with self.log.cursor() as cursor:
                asked = (self.run.started.position, before, self.run.id, APART, CHUNK)
                found = cursor.execute(TOUCHED, asked, prepare=False).fetchall()
                ids = list(dict.fromkeys(row["id"] for row in found))
                rows = cursor.execute(HISTORIES, (ids,), prepare=False).fetchall()
            histories: dict[UUID, list[DictRow]] = {id_: [] for id_ in ids}
            for row in rows:
                histories[row["id"]].append(row)
            yield from map(self._seen, histories.values())
            if len(found) < CHUNK:
                return
            before = found[-1]["position"]

    def _seen(self, rows: Sequence[DictRow]) -> Touched:
        run, revert = self.run.id, self.run.revert_id
        numbers = [n for n, row in enumerate(rows) if row["correlation_id"] == run]
        first, last = numbers[0], numbers[-1]
        begins = first == 0 or ".retracted." in rows[first - 1]["topic"]
        spoken = {row["correlation_id"] for row in rows[first:]}
        void = {a for pair in self._reverted.items() if spoken.issuperset(pair) for a in pair}
        own = {run, revert, *void}
        kind = rows[0]["topic"].split(".")[0]
        return Touched(
            id=rows[0]["id"],
            rows=rows,
            of=STATES[kind],
            kind=kind,
            first=first,
            last=last,
            made=begins and rows[first]["topic"] in MAKING,
            since=next((row for row in rows[first:] if row["correlation_id"] not in own), None),
            done=revert in spoken,
        )
