"""The process that learns: `python -m learning --data DIR --database-url URL`."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from eventstore.workspace import Workspace
from learning import LEARNERS
from learning.follower import follow

PARENT_SECONDS = 1.0


def main() -> None:
    """Follow the log until told to stop, or until the process that started this one is gone."""
    parser = argparse.ArgumentParser(prog="python -m learning", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the workspace")
    parser.add_argument("--database-url", required=True, help="its PostgreSQL")
    parser.add_argument("--workspace", default="default", help="its name")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_watch_parent, args=(os.getppid(), stop), daemon=True).start()
    with Workspace.open(given.data, given.database_url, given.workspace, keys=False) as workspace:
        follow(workspace, LEARNERS, stop)


def _watch_parent(parent: int, stop: threading.Event) -> None:
    while os.getppid() == parent:
        if stop.wait(PARENT_SECONDS):
            return
    stop.set()


if __name__ == "__main__":
    main()
