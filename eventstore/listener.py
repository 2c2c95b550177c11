"""How a reader of the log hears of commits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    from eventstore.log import Log

POLL_SECONDS = 0.25

# Always one look at the end of the index. "Is there one after N" was planned, for an N not known,
# as a search from the beginning: on a log of 30,000 events 5 ms, for every commit.
NEWEST = "SELECT max(notification_id) AS position FROM log_events"


class Listener:
    """One connection that listens for commits to the log."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.newest = 0
        self.connection: psycopg.Connection[DictRow] | None = None

    def wait(self, after: int, timeout: float) -> int:
        """See `Log.wait`."""
        deadline = time.monotonic() + timeout
        if self.connection is None or self.connection.closed:
            self.connection = self._connected()
            self._look(self.connection)
        while self.newest <= after:
            left = deadline - time.monotonic()
            if left <= 0:
                return 0
            if not self._told(self.connection, min(POLL_SECONDS, left)):
                self._look(self.connection)
        return self.newest

    def _connected(self) -> psycopg.Connection[DictRow]:
        connection = psycopg.connect(self.log.conninfo, autocommit=True, row_factory=dict_row)
        channel = Identifier(self.log.envelopes.channel_name)
        connection.execute(SQL("LISTEN {}").format(channel))
        return connection

    def _look(self, connection: psycopg.Connection[DictRow]) -> None:
        found = connection.execute(NEWEST).fetchone()
        self.newest = (found["position"] or 0) if found else 0

    def _told(self, connection: psycopg.Connection[DictRow], timeout: float) -> bool:
        """Whether commits told of their positions; some writers only tell that there is more."""
        notices = [one.payload for one in connection.notifies(timeout=timeout, stop_after=1)]
        self.newest = max([self.newest, *(int(told) for told in notices if told.isdecimal())])
        return any(notices) and all(notices)

    def close(self) -> None:
        """Stop listening."""
        if self.connection is not None:
            self.connection.close()
