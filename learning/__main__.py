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
    """Follow the log until told to stop, or until the process named by `--parent` is gone."""
    parser = argparse.ArgumentParser(prog="python -m learning", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the workspace")
    parser.add_argument("--database-url", required=True, help="its PostgreSQL")
    parser.add_argument("--workspace", default="default", help="its name")
    parser.add_argument("--parent", type=int, help="end with this process, which started this one")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if given.parent:
        threading.Thread(target=_watch_parent, args=(given.parent, stop), daemon=True).start()
    with Workspace.open(given.data, given.database_url, given.workspace, keys=False) as workspace:
        follow(workspace, LEARNERS, stop)


def _watch_parent(parent: int, stop: threading.Event) -> None:
    # The id is given, not looked up: the parent may be gone before this process can look.
    while os.getppid() == parent:
        if stop.wait(PARENT_SECONDS):
            return
    stop.set()


if __name__ == "__main__":
    main()
