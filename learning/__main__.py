"""The process that learns: `python -m learning --data DIR --database-url URL`."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from eventstore.collector import collect_seldom
from eventstore.logs import configure
from eventstore.workspace import Workspace
from learning import LEARNERS
from learning.follower import follow


def main() -> None:
    """Follow the log until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m learning", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the workspace")
    url = os.environ.get("BACKSTORY_DATABASE_URL")  # where no list of processes shows passwords
    parser.add_argument("--database-url", default=url, required=not url, help="its PostgreSQL")
    parser.add_argument("--workspace", default="default", help="its name")
    given = parser.parse_args()
    configure()
    collect_seldom()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Workspace.open(given.data, given.database_url, given.workspace, keys=False) as workspace:
        follow(workspace, LEARNERS, stop)


if __name__ == "__main__":
    main()
