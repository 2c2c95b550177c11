"""How a reader of the log hears of commits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import dict_row

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
        self.connection: psycopg.Connection[DictRow] | None = None

    def wait(self, after: int, timeout: float) -> bool:
        """See `Log.wait`."""
        deadline = time.monotonic() + timeout
        while True:
            if self.connection is None or self.connection.closed:
                self.connection = psycopg.connect(
                    self.log.conninfo, autocommit=True, row_factory=dict_row
                )
                self.connection.execute(f"LISTEN {self.log.envelopes.channel_name}")
            found = self.connection.execute(NEWEST).fetchone()
            if found is not None and (found["position"] or 0) > after:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for _ in self.connection.notifies(timeout=min(POLL_SECONDS, left), stop_after=1):
                pass

    def close(self) -> None:
        """Stop listening."""
        if self.connection is not None:
            self.connection.close()
