"""A publisher of a lake, in a process of its own: says `ready`, then each position published.

python -m tests.publishing_lake DIRECTORY URL LAKE_URL SCHEMA STEP
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from eventstore.workspace import Workspace
from projections.catch_up import catch_up
from projections.tables import Tables
from replay.lake import Lake
from replay.publication import publish


def main(directory: Path, url: str, lake_url: str, schema: str, step: str) -> None:
    with (
        Workspace.open(directory, url, keys=False) as workspace,
        closing(Tables(directory / "published")) as tables,
        closing(Lake(lake_url, schema, directory / "lake")) as lake,
    ):
        last = workspace.log.last_position()
        print("ready", flush=True)  # noqa: T201 - it is asked for
        while True:
            list(catch_up(tables, workspace.log.read_arrow, min(last, tables.position + int(step))))
            tables.settle(fully=True)
            print(publish(tables, lake), flush=True)  # noqa: T201
            if tables.position == last:
                return


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
