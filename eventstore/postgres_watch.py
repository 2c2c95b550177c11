"""Whether a PostgreSQL gets anywhere, as its processes show: the server itself is asked nothing."""

from __future__ import annotations

import re
import time
from pathlib import Path

from eventstore.postgres_cluster import Pidfile

STUCK_SECONDS = 30
LOOK_SECONDS = 1.0

AT_WORK = re.compile(rb"postgres: (.+: )?(startup|walwriter)\b")
"""The process that replays the journal, however long that takes; and one that is there later."""


class Watch:
    """Looks at the processes of a server, whose first one is `pid`."""

    def __init__(self, pid: int, cluster: Path) -> None:
        self._pid, self._cluster = pid, cluster
        self._next_look = 0.0
        self._idle_looks = 0

    def stuck(self) -> bool:
        """Whether for STUCK_SECONDS it has neither served nor recovered, nor been stopping.

        Said once; then the time begins anew. Looks are counted, a second apart at least, so that
        the time does not count in which the whole machine stood still.
        """
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            self._idle_looks = 0 if self._at_work() else self._idle_looks + 1
        if self._idle_looks * LOOK_SECONDS <= STUCK_SECONDS:
            return False
        self._idle_looks = 0
        return True

    def _at_work(self) -> bool:
        pidfile = Pidfile.read(self._cluster)
        if pidfile and pidfile.status == "stopping":
            return True
        try:
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        except OSError:  # it has ended, or the kernel does not tell
            return True
        return any(AT_WORK.match(_title(child)) for child in children)


def _title(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""
