"""A reader of a lake, in a process of its own: each look is one transaction, told as a line."""

from __future__ import annotations

import json
import sys
import time

from readmodels.digest import digest
from replay.lake import LAKE, open_lake
from replay.tables import tables_in

PAUSE_SECONDS = 0.3
"""Between looks, so that the writer has a turn where there are few cores."""


def main() -> None:
    url, schema, until = sys.argv[1:]
    connection = open_lake(url, schema)
    position = -1
    while position < int(until):
        connection.begin()
        [(position,)] = connection.execute(
            f"SELECT coalesce(max(notification_id), 0) FROM {LAKE}.stored.bookmark"
        ).fetchall()
        [(events,)] = connection.execute("SELECT coalesce(max(position), 0) FROM event").fetchall()
        found = {
            table.name: digest(connection, LAKE, table, values=False)
            for table in tables_in("main")
            if table.name in {"event", "deal", "lead", "score"}
        }
        connection.rollback()
        print(json.dumps([position, events, found]), flush=True)  # noqa: T201 - it is asked for
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
