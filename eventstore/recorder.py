"""The library's PostgreSQL recorder, with the envelope in columns of its own."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import (
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresTrackingRecorder,
)
from psycopg.sql import SQL, Composable, Identifier

from eventstore import arrays
from eventstore.envelope import Row, StoredEnvelope
from eventstore.errors import EnvelopeMissing
from eventstore.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import Cursor
    from psycopg.abc import QueryNoTemplate
    from psycopg.rows import DictRow

STORED = attrgetter(
    "originator_id",
    "originator_version",
    "topic",
    "state",
    "event_id",
    "occurred_at",
    "actor",
    "correlation_id",
    "causation_id",
)
COLUMNS = (
    "notification_id, event_id, originator_id, originator_version, topic, state, recorded_at, "
    "occurred_at, actor, correlation_id, causation_id"
)

# One clock for a batch: the server's, which here never runs backwards.
NOW = (
    "SELECT greatest(clock_timestamp(), recorded_at) AS now, notification_id AS last "
    "FROM (SELECT 1) AS one LEFT JOIN (SELECT recorded_at, notification_id FROM {table} "
    "ORDER BY notification_id DESC LIMIT 1) AS newest ON true"
)


class EnvelopeRecorder(PostgresApplicationRecorder):
    """Stores `StoredEnvelope` rows; refuses events that come without their envelope.

    The table lock of the library is kept, so commit order is position order. Its database
    functions are not created: they skip that lock.
    """

    def __init__(
        self, datastore: PostgresDatastore, *, events_table_name: str = "log_events"
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        if datastore.enable_db_functions:
            raise ValueError("POSTGRES_ENABLE_DB_FUNCTIONS loses events; it cannot be switched on")
        self.sql_create_statements = []
        datastore.db_type_names.discard(self.stored_event_type_name)
        self.table = Identifier(datastore.schema, events_table_name)
        # Workspaces share a database, and what is told has to be of this one's log.
        self.channel_name = datastore.schema
        self.now_statement = SQL(NOW).format(table=self.table)
        self.lock_statement = SQL("LOCK TABLE {table} IN EXCLUSIVE MODE").format(table=self.table)
        # One array per column is the fastest way in: 61k rows/s at 1,000 a statement.
        # The positions are given: who has locked the log knows them before he stores the events.
        self.insert_events_statement = SQL(
            "INSERT INTO {table} (notification_id, originator_id, originator_version, topic, "
            "state, event_id, recorded_at, occurred_at, actor, correlation_id, causation_id) "
            "SELECT n, s, v, t, d, e, at, coalesce(o, at), a, c, p FROM unnest(%b::bigint[], "
            "%b::uuid[], %b::bigint[], %b::text[], %b::bytea[], %b::uuid[], %b::timestamptz[], "
            "%b::uuid[], %b::uuid[], %b::uuid[]) AS new(n, s, v, t, d, e, o, a, c, p), "
            "(SELECT coalesce(%s, greatest(now(), (SELECT recorded_at FROM {table} "
            "ORDER BY notification_id DESC LIMIT 1))) AS at, "
            "setval(%s, %s), pg_notify(%s, %s)) AS moved RETURNING notification_id"
        ).format(table=self.table)
        self.sequence = f'{self.table.as_string()[:-1]}_notification_id_seq"'

    def create_table(self) -> None:
        """Create or migrate every table of the workspace."""
        with self.datastore.get_connection() as connection:
            migrate(connection, self.datastore.schema)

    def lock(self, cursor: Cursor[DictRow]) -> None:
        """Wait for the turn to write: until the transaction ends no other writer appends."""
        self._lock_table(cursor)
        self._notify_channel(cursor)

    def insertion(
        self, rows: Sequence[Row], positions: Sequence[int], recorded_at: datetime | None
    ) -> tuple[QueryNoTemplate, Sequence[Any]]:
        """The statement, with its values, that stores `rows` at these positions.

        Without a time it is that of the database when the transaction began.
        """
        last = positions[-1]
        moved = (self.sequence, last, self.channel_name, str(last))
        values = (arrays.bigints(positions), *columns(rows), recorded_at, *moved)
        return self.insert_events_statement, values

    def _insert_stored_events(
        self, curs: Cursor[DictRow], stored_events: Sequence[StoredEvent], **_: Any
    ) -> None:
        bare = next((one for one in stored_events if not isinstance(one, StoredEnvelope)), None)
        if bare is not None:
            raise EnvelopeMissing(f"event {bare.topic} of {bare.originator_id} has no envelope")
        rows = [Row(*STORED(one)) for one in stored_events]
        self.lock(curs)
        now = cast("DictRow", curs.execute(self.now_statement, prepare=True).fetchone())
        first = (now["last"] or 0) + 1
        positions = list(range(first, first + len(rows)))
        curs.execute(*self.insertion(rows, positions, now["now"]), prepare=True)

    def select_envelopes(
        self,
        cursor: Cursor[DictRow],
        where: Composable,
        parameters: Sequence[Any] | Mapping[str, Any],
    ) -> list[StoredEnvelope]:
        """Rows with their envelopes, for a composed SQL condition."""
        cursor.execute(
            SQL("SELECT {columns} FROM {table} WHERE {where}").format(
                columns=SQL(COLUMNS), table=self.table, where=where
            ),
            parameters,
            prepare=True,
        )
        return [envelope(row) for row in cursor.fetchall()]


def columns(rows: Sequence[Row]) -> tuple[arrays.Array, ...]:
    """Rows as one array per column, in the order of `Row`."""
    streams, versions, types, states, event_ids, occurred, actors, correlated, caused = zip(
        *rows, strict=True
    )
    return (
        arrays.ids(streams),
        arrays.bigints(versions),
        arrays.texts(types),
        arrays.byteas(states),
        arrays.ids(event_ids),
        arrays.moments_or_nulls(occurred),
        arrays.ids(actors),
        arrays.ids(correlated),
        arrays.ids_or_nulls(caused),
    )


def envelope(row: DictRow) -> StoredEnvelope:
    """A row of the table as a value."""
    return StoredEnvelope(
        originator_id=row["originator_id"],
        originator_version=row["originator_version"],
        topic=row["topic"],
        state=bytes(row["state"]),
        event_id=row["event_id"],
        occurred_at=row["occurred_at"],
        actor=row["actor"],
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        position=row["notification_id"],
        recorded_at=row["recorded_at"],
    )


class Bookmarks(PostgresTrackingRecorder):
    """How far each follower of the log has come that keeps its bookmark in PostgreSQL."""

    def __init__(
        self, datastore: PostgresDatastore, *, tracking_table_name: str = "log_tracking"
    ) -> None:
        super().__init__(datastore, tracking_table_name=tracking_table_name)

    def create_table(self) -> None:
        """Nothing to do: `EnvelopeRecorder.create_table` makes every table."""

    def advance(self, cursor: Cursor[DictRow], name: str, position: int) -> None:
        """Move a bookmark forward in the caller's transaction; backwards is an IntegrityError."""
        self._insert_tracking(cursor, Tracking(name, position))
