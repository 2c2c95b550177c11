"""UmaDB, an event store with dynamic consistency boundaries: its own server, its own client."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import Contestant, Ground, Server, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS_MAX = 30


def contestant(callers: int, *, install: bool) -> Contestant:
    """UmaDB, with so many callers at once."""
    del install  # a dependency group of ours holds it
    if find_spec("umadb") is None:
        raise Skipped("UmaDB is not installed; `uv sync --group bench` installs it")

    @contextmanager
    def stage(ground: Ground, _: str) -> Iterator[list[str]]:
        folder, port = ground.folder(), _free_port()
        program = str(Path(sys.executable).parent / "umadb")
        serve = [program, "--listen", f"127.0.0.1:{port}", "--db-path", str(folder)]
        with Server(serve, folder / "serve.log"):
            _wait_for(port)
            url = f"http://127.0.0.1:{port}"
            yield [sys.executable, "-m", "benchmarks.peers.umadb_callers", url, str(callers)]

    return Contestant(f"UmaDB, conditional append, {callers} callers", stage)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
