"""The log copied as it is from PostgreSQL into DuckDB through Arrow: as fast as a rebuild can be.

python -m benchmarks.peers.raw_copy DIRECTORY URL FILE        prints events per second
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import duckdb

from benchmarks.contest import ready
from eventstore.workspace import Workspace

BATCH_ROWS = 50_000
"""A commit each; larger ones are no faster."""


def main() -> None:
    """See above."""
    directory, url, file = sys.argv[1:]
    with Workspace.open(Path(directory), url, keys=False) as workspace:
        ready()
        began = time.perf_counter()
        with duckdb.connect(file) as connection:
            events, after = 0, 0
            while len(batch := workspace.log.read_arrow(after, BATCH_ROWS)):
                connection.register("batch", batch)
                how = "INSERT INTO log" if events else "CREATE TABLE log AS"
                connection.execute(f"{how} FROM batch")
                events, after = events + len(batch), batch["position"][-1].as_py()
        print(events / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
