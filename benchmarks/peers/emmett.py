"""Emmett, an event store for Node.js on PostgreSQL, with its command handler."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contest import Contestant, Ground, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parent / "emmett"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backstory" / "emmett"


def contestant(callers: int, *, install: bool) -> Contestant:
    """Emmett, with so many callers at once."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Skipped("Emmett needs node and npm, which are not installed")
    if install:
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / "package.json", CACHE)
        subprocess.run(
            [npm, "install", "--ignore-scripts", "--no-fund", "--no-audit", "--silent"],
            cwd=CACHE,
            check=True,
        )
    if not (CACHE / "node_modules").exists():
        raise Skipped("Emmett is not installed; --install-peers fetches it from npm")
    script = shutil.copy(SOURCE / "callers.mjs", CACHE)

    @contextmanager
    def stage(_: Ground, url: str) -> Iterator[list[str]]:
        yield [node, str(script), url, str(callers)]

    counts = "SELECT count(*) FROM emt_messages"
    return Contestant(
        f"Emmett, command handler, {callers} callers", stage, alone=True, counts=counts
    )
