"""A log taken out of its database and put into another one, each in one transaction.

What the log does not say, and what would cost much to find out again, is taken along: the tables
in `BESIDE`. All of it is seen at the moment of one event, the last one.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from eventstore.errors import Unavailable
from eventstore.tree import WIDTH, Tiles, hashes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eventstore.log import Log

BESIDE: Mapping[str, Mapping[str, str]] = {
    "root_key": {
        "number": "integer",
        "service": "text",
        "wrapped": "bytea",
        "made_at": "timestamptz",
    },
    "subject_key": {"subject": "uuid", "wrapped": "bytea", "root": "integer"},
    "reservation": {
        "kind": "text",
        "hash": "bytea",
        "stream_id": "uuid",
        "taken_position": "bigint",
        "freed_position": "bigint",
    },
    "idempotency": {
        "scope": "bytea",
        "key": "text",
        "digest": "bytea",
        "reply": "jsonb",
        "stored_at": "timestamptz",
    },
    "api_key": {
        "hash": "bytea",
        "id": "uuid",
        "actor": "uuid",
        "label": "text",
        "personal": "boolean",
        "created_at": "timestamptz",
        "revoked_at": "timestamptz",
    },
    "log_tracking": {"application_name": "text", "notification_id": "bigint"},
}
"""The columns of each table, and their types in PostgreSQL."""

STORED = {
    "position": "notification_id",
    "version": "originator_version",
    "stream_id": "originator_id",
    "type": "topic",
    "data": "state",
}
"""Columns of the table of events that are called otherwise elsewhere."""

CHECKPOINT = {
    "size": "bigint",
    "position": "bigint",
    "note": "text",
    "sealed_at": "timestamptz",
}
TILES = pa.schema(
    {
        "level": pa.int16(),
        "number": pa.int64(),
        "first_position": pa.int64(),
        "hashes": pa.binary(),
    }
)
AS_TEXT = ("uuid", "jsonb")


class LogNotEmpty(Exception):
    """There are events in this log already; a backup is restored into an empty one."""


class Snapshot:
    """The tables beside the log as they are at one moment."""

    def __init__(self, cursor: adbc.Cursor) -> None:
        self._cursor = cursor
        # A read-only look is not kept waiting by writers, and keeps none of them waiting.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT max(notification_id) FROM log_events")
        self.position: int = cursor.fetchall()[0][0] or 0

    def read(self, table: str) -> pa.RecordBatchReader:
        """The rows of a table of `BESIDE`, a batch in memory at a time."""
        columns = (
            f"{name}::text AS {name}" if of in AS_TEXT else name
            for name, of in BESIDE[table].items()
        )
        self._cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - our names
        return self._cursor.fetch_record_batch()


class Refill:
    """An empty log that is being filled with the events of another one."""

    def __init__(self, log: Log, connection: adbc.Connection, cursor: adbc.Cursor) -> None:
        self._log, self._connection, self._cursor = log, connection, cursor
        self._tiles, self._size, self._position = NewTiles(), 0, 0
        cursor.execute("LOCK TABLE log_events IN EXCLUSIVE MODE")
        cursor.execute("SELECT EXISTS (SELECT FROM log_events) OR EXISTS (SELECT FROM log_tile)")
        if cursor.fetchall()[0][0]:
            raise LogNotEmpty(LogNotEmpty.__doc__)

    def append(self, rows: pa.Table, leaves: Sequence[bytes]) -> None:
        """Store rows of `Log.read_arrow` as they are, positions and all, and their leaves."""
        named = rows.rename_columns([STORED.get(name, name) for name in rows.column_names])
        self._ingest("log_events", named)
        positions = rows["position"].to_pylist()
        self._tiles.append(self._size, leaves, positions)
        self._ingest("log_tile", self._tiles.full())
        self._size, self._position = self._size + len(leaves), positions[-1]

    def put(self, table: str, rows: pa.Table) -> None:
        """Store the rows of a table of `BESIDE`, in the place of what a new log began with."""
        self._cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - our names
        self._insert(table, rows, BESIDE[table])

    def commit(self, note: str) -> None:
        """Let it all be true at once, under a checkpoint; the next event comes after the last."""
        self._ingest("log_tile", self._tiles.all())
        if self._size:
            row = {"size": self._size, "position": self._position, "note": note}
            row |= {"sealed_at": datetime.now(UTC)}
            self._insert("log_checkpoint", pa.Table.from_pylist([row]), CHECKPOINT)
            self._cursor.execute(
                "SELECT setval(pg_get_serial_sequence('log_events', 'notification_id'), "
                f"{max(self._position, 1)})"
            )
            self._cursor.fetchall()
        self._connection.commit()

    def _ingest(self, table: str, rows: pa.Table) -> None:
        # In binary a uuid is its sixteen bytes: what is read as bytes is stored as a uuid.
        self._cursor.adbc_ingest(table, rows, mode="append", db_schema_name=self._log.schema)

    def _insert(self, table: str, rows: pa.Table, columns: Mapping[str, str]) -> None:
        draft = f"incoming_{table}"
        self._cursor.adbc_ingest(draft, rows, mode="create", temporary=True)
        values = ", ".join(f"{name}::{of}" for name, of in columns.items())
        self._cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {draft}"  # noqa: S608
        )


class NewTiles(Tiles):
    """The tiles of a tree that is made from its first leaf on, until they are full."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], tuple[int | None, bytes]] = {}

    def tile(self, level: int, number: int) -> bytes:
        """See `Tree`."""
        return self._held.get((level, number), (None, b""))[1]

    def full(self) -> pa.Table:
        """The tiles that will not change any more, which are then forgotten."""
        return self._taken(at for at, (_, tile) in self._held.items() if len(hashes(tile)) == WIDTH)

    def all(self) -> pa.Table:
        """Those that are left."""
        return self._taken(self._held)

    def _taken(self, which: Iterable[tuple[int, int]]) -> pa.Table:
        rows = [(*at, *self._held.pop(at)) for at in list(which)]
        return pa.Table.from_pylist(
            [dict(zip(TILES.names, row, strict=True)) for row in rows], TILES
        )

    def _write(
        self,
        level: int,
        number: int,
        tiles: Sequence[Sequence[bytes]],
        starts: Sequence[int | None],
    ) -> None:
        for at, (tile, start) in enumerate(zip(tiles, starts, strict=True), start=number):
            begun = self._held.get((level, at), (start, b""))[0]
            self._held[level, at] = begun, b"".join(tile)


@contextmanager
def snapshot(log: Log) -> Iterator[Snapshot]:
    """What stands beside the log, seen at one moment for as long as the block lasts."""
    with _connected(log) as (_, cursor):
        yield Snapshot(cursor)


@contextmanager
def refill(log: Log) -> Iterator[Refill]:
    """Fill an empty log; unless it is committed nothing has happened.

    Raises `LogNotEmpty`.
    """
    with _connected(log) as (connection, cursor):
        yield Refill(log, connection, cursor)


@contextmanager
def _connected(log: Log) -> Iterator[tuple[adbc.Connection, adbc.Cursor]]:
    try:
        with adbc.connect(log.conninfo) as connection, connection.cursor() as cursor:
            yield connection, cursor
    except adbc.Error as error:
        raise Unavailable(str(error)) from error
