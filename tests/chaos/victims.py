"""What is killed: a server process, and the PostgreSQL behind it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from eventstore.postgres import EmbeddedPostgres

ROOT = Path(__file__).parent.parent.parent
LOCK_SECONDS = 2


class ServerProcess:
    """A server in a process of its own; `address` changes with every start."""

    def __init__(self, directory: Path, database_url: str) -> None:
        self._command = [
            *(sys.executable, "-m", "tests.serving_process", str(directory), database_url)
        ]
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self) -> Self:
        """Start it, and wait until it listens."""
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, errors="replace", cwd=ROOT, env=env
        )
        assert self._process.stdout is not None
        self.address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        # One that nobody listens to would stop as soon as the pipe is full.
        self._listening = threading.Thread(target=_hear, args=(self._process.stdout,))
        self._listening.start()
        return self

    def kill(self) -> None:
        """End it on the spot."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._listening.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


def _hear(said: IO[str]) -> None:
    with said:
        said.read()


def kill_server(server: ServerProcess, _: EmbeddedPostgres, chance: random.Random) -> None:
    """Kill the server, and start it again a little later."""
    server.kill()
    time.sleep(chance.uniform(0, 0.5))
    server.start()


def kill_postgres(_: ServerProcess, postgres: EmbeddedPostgres, chance: random.Random) -> None:
    """Kill PostgreSQL's first process, and let it be started again a little later."""
    kill_one(lambda: [first_process(postgres)], chance)
    with (postgres.directory / "lock").open("ab") as lock:  # nobody starts it while this is held
        deadline = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):  # by its last processes, or it is being started already
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                time.sleep(chance.uniform(0, 1))
                return
            time.sleep(0.001)


def kill_backend(_: ServerProcess, postgres: EmbeddedPostgres, chance: random.Random) -> None:
    """Kill one of PostgreSQL's other processes, after which all of it starts anew."""
    kill_one(lambda: children(first_process(postgres)), chance)


def kill_one(found: Callable[[], list[int]], chance: random.Random) -> None:
    """Kill one of several processes; when there is none it is just starting, and waited for."""
    while True:
        with suppress(FileNotFoundError, ProcessLookupError, IndexError):
            os.kill(chance.choice(found()), signal.SIGKILL)
            return
        time.sleep(0.01)


def first_process(postgres: EmbeddedPostgres) -> int:
    """The process all others of a PostgreSQL descend from."""
    return int((postgres.cluster / "postmaster.pid").read_text().split()[0])


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    return [
        int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


KILLINGS = (kill_server, kill_postgres, kill_backend)
