"""How far a file of tables has followed the log, kept in the file itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder

if TYPE_CHECKING:
    import duckdb

LOG = "log"
"""What is followed."""


class Bookmark(TrackingRecorder):
    """A tracking recorder of the event sourcing library, over DuckDB.

    It writes on the connection it is given: in a transaction begun there the bookmark moves
    together with the rows, or not at all.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, schema: str = "stored") -> None:
        super().__init__()
        self._connection = connection
        self._table = f"{schema}.bookmark"
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} "
            "(application_name VARCHAR NOT NULL, notification_id BIGINT NOT NULL)"
        )

    @property
    def position(self) -> int:
        """The position in the log that has been reached; 0 before the first event."""
        return self.max_tracking_id(LOG) or 0

    def move(self, position: int) -> None:
        """Note that the log was followed up to `position`."""
        self.insert_tracking(Tracking(LOG, position))

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move on; raises IntegrityError if that is not forward."""
        where, to = tracking.application_name, tracking.notification_id
        [(moved,)] = self._connection.execute(
            f"UPDATE {self._table} SET notification_id = $1 "
            "WHERE application_name = $2 AND notification_id < $1",
            [to, where],
        ).fetchall()
        if moved:
            return
        last = self.max_tracking_id(where)
        if last is not None:
            raise IntegrityError(f"the bookmark is at {last}, not before {to}")
        self._connection.execute(
            f"INSERT INTO {self._table} (notification_id, application_name) VALUES (?, ?)",
            [to, where],
        )

    def max_tracking_id(self, application_name: str) -> int | None:
        """The position reached, None before the first."""
        found = self._connection.execute(
            f"SELECT notification_id FROM {self._table} WHERE application_name = ?",
            [application_name],
        ).fetchone()
        return found[0] if found else None
