"""The library's ProjectionRunner, with a view in PostgreSQL: an event and its position at a time.

python -m benchmarks.peers.library_projection URL SCHEMA EVENTS        prints events per second

It reads the same log, and keeps one of our tables: `lead`, a row per version, as our declaration
says. Its events stay what the log holds; making values of them would only slow it down.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import orjson
import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier, Placeholder
from psycopg.types.json import Jsonb

from benchmarks.peers.library import environment
from projections.lead import lead

if TYPE_CHECKING:
    from eventsourcing.domain import DomainEventProtocol
    from psycopg.sql import Composed

    from projections.sources import Source

SECONDS_MAX = 600
SHAPE = lead.shapes[0]
CREATE = "CREATE TABLE lead_view (id uuid, position bigint, position_to bigint, {})"
CREATE_INDEX = "CREATE UNIQUE INDEX ON lead_view (id) WHERE position_to IS NULL"
COLUMNS = [column.name for column in SHAPE.table.columns]
SOURCES = {event.type: given for event, given in SHAPE.sources.items()}


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as the log holds it."""

    originator_id: UUID
    originator_version: int
    type: str
    fields: dict[str, Any]


class StoredMapper(Mapper[UUID]):
    """Parses, and does nothing else."""

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """The event of a row."""
        fields = orjson.loads(stored_event.state)
        row = cast("UUID", stored_event.originator_id), stored_event.originator_version
        return Stored(*row, stored_event.topic, fields)


class Log(Application[UUID]):
    """The log; by this name the library finds its table."""

    def construct_mapper(self) -> Mapper[UUID]:
        """Ours."""
        return StoredMapper(transcoder=JSONTranscoder())


class LeadView(PostgresTrackingRecorder):
    """Leads as a table; what is written moves the bookmark in the same transaction."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        columns = ", ".join(f'"{c.name}" {_postgres(c.type)}' for c in SHAPE.table.columns)
        self.sql_create_statements += [
            SQL(CREATE).format(SQL(columns)),
            SQL(CREATE_INDEX).format(),
        ]
        self._statements = {type_: _version(list(given)) for type_, given in SOURCES.items()}

    def write(self, event: Stored, tracking: Tracking) -> None:
        """One row and the bookmark, or neither."""
        given = SOURCES[event.type]
        values = [_value(given[name], event.fields) for name in COLUMNS if name in given]
        keys = [tracking.notification_id, event.originator_id]
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                self._statements[event.type], [*keys, *keys[::-1], *values], prepare=True
            )


def _postgres(type_: str) -> str:
    return {"VARCHAR": "text", "JSON": "jsonb", "DOUBLE": "float8"}.get(type_, type_)


def _version(given: list[str]) -> Composed:
    """End the row of a lead, and begin the next with some of its columns changed."""
    values = [Placeholder() if name in given else Identifier(name) for name in COLUMNS]
    return SQL(
        "WITH ended AS (UPDATE lead_view SET position_to = %s WHERE id = %s "
        "AND position_to IS NULL RETURNING *) INSERT INTO lead_view (id, position, {}) "
        "SELECT %s, %s, {} FROM (SELECT 1) AS one LEFT JOIN ended ON true"
    ).format(
        SQL(", ").join(map(Identifier, COLUMNS)),
        SQL(", ").join(values),
    )


def _value(source: Source, fields: dict[str, Any]) -> Any:
    """What an event says of a column; the envelope is not what the library reads."""
    value = fields[source.name] if source.kind == "field" else source.value
    return Jsonb(value) if isinstance(value, dict | list) else value


class LeadProjection(Projection[LeadView]):
    """How leads become rows."""

    topics = tuple(SOURCES)
    awaited = 0
    """How many events there are."""

    def __init__(self, view: LeadView) -> None:
        super().__init__(view)
        self.seen = 0
        self.done = threading.Event()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Write what follows from an event."""
        self.view.write(domain_event, tracking)
        self.seen += 1
        if self.seen == self.awaited:
            self.done.set()


def main() -> None:
    """See above."""
    url, schema, events = sys.argv[1:]
    env = environment(url, pool=5) | {"POSTGRES_SCHEMA": schema, "LOG_CREATE_TABLE": "n"}
    with psycopg.connect(url) as connection:
        for table in (Identifier("lead_view"), Identifier(schema, "leadprojection_tracking")):
            connection.execute(SQL("DROP TABLE IF EXISTS {}").format(table))
    with Log(env) as log:
        found = log.recorder.select_notifications(1, int(events), topics=list(SOURCES))
    LeadProjection.awaited = len(found)
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Log, projection_class=LeadProjection, view_class=LeadView, env=env
    ) as runner:
        projection = runner.projection
        assert isinstance(projection, LeadProjection)
        assert projection.done.wait(SECONDS_MAX)
        seconds = time.perf_counter() - began
    print(len(found) / seconds)


if __name__ == "__main__":
    main()
