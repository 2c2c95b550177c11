"""A small disk that fills up: run by tests/chaos/test_disk_full.py in a mount namespace of its own.

`python -m tests.chaos.small_disk DIRECTORY tables|journal` mounts a small file system, keeps the
tables of a PostgreSQL (or its journal) there, writes until it is full, makes room and goes on. It
prints what it saw as one JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import eventstore.writer
from commands.base import handle
from commands.lead import CaptureLead, EngageLead
from eventstore.envelope import uuid7
from eventstore.errors import EventStoreError
from eventstore.postgres import EmbeddedPostgres
from eventstore.postgres_cluster import Pidfile
from eventstore.workspace import Workspace
from eventstore.writer import Context, IdempotencyKey, Writer

DISK_MEGABYTES = {"tables": 160, "journal": 64}
LEFT_BYTES = {"tables": 2_000_000, "journal": 1_000_000}
NOTE = "x" * 15_000
ASKED_MAX = 3_000


class Disk:
    """A file system of its own, which a file can fill up."""

    def __init__(self, path: Path, megabytes: int) -> None:
        path.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(path)]
        subprocess.run(mount, check=True)
        self.path, self._filling = path, path / "filling"

    def fill(self, left: int) -> None:
        """Leave so many bytes."""
        free = os.statvfs(self.path)
        with self._filling.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - left)

    def make_room(self) -> None:
        """Delete what fills it."""
        self._filling.unlink()


def main(directory: Path, what: str) -> None:
    disk = Disk(directory / "disk", DISK_MEGABYTES[what])
    postgres = EmbeddedPostgres(disk.path if what == "tables" else directory / "postgres")
    if what == "journal":
        with postgres:
            pass
        journal = postgres.cluster / "pg_wal"
        shutil.move(journal, disk.path / "pg_wal")
        journal.symlink_to(disk.path / "pg_wal")
    eventstore.writer.RECONNECT_SECONDS = 1.0
    with postgres:
        seen = fill_up(directory, disk, postgres, what)
    print(json.dumps(seen))  # noqa: T201


def fill_up(directory: Path, disk: Disk, postgres: EmbeddedPostgres, what: str) -> dict[str, Any]:
    with Workspace.open(directory / "keys", postgres.url) as workspace, Writer(workspace.log) as w:
        for pool in workspace.log.pools:
            pool.timeout = 1.0
        client = Asking(w)
        client.engage(20)
        before = Pidfile.read(postgres.cluster)
        disk.fill(LEFT_BYTES[what])
        refused = client.engage(ASKED_MAX, until_refused=True)
        survived = Pidfile.read(postgres.cluster) == before
        disk.make_room()
        deadline = time.monotonic() + 60
        while not client.answers() and time.monotonic() < deadline:
            time.sleep(0.1)
        retried = client.engage_again()
        events = [recorded.event for recorded in workspace.log.read_stream(client.lead, 1)]
    notes = Counter(int(event.note.split()[0]) for event in events)  # type: ignore[attr-defined]
    return {
        "acknowledged": len(client.told),
        "lost": len(client.told.keys() - notes.keys()),
        "doubled": sum(times > 1 for times in notes.values()),
        "versions": sorted(client.told.values()) == list(range(2, len(client.told) + 2)),
        "errors": sorted({type(error).__name__ for error in refused}),
        "said": sorted({str(error) for error in refused}),
        "survived": survived,
        "retried": retried,
    }


class Asking:
    """A client that engages one lead again and again, with a key each time."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.lead = writer, uuid7()
        self.told: dict[int, int] = {}
        self.open: list[int] = []
        self._asked = 0
        capture = CaptureLead(name="Ann", source="web")
        handle(writer, capture, self.lead, self._context(None)).result(60)

    def engage(self, times: int, *, until_refused: bool = False) -> list[EventStoreError]:
        """Ask a few at a time; the errors of those that were not done."""
        errors: list[EventStoreError] = []
        last = self._asked + times
        while self._asked < last and not (until_refused and errors):
            numbers = range(self._asked, self._asked + 10)
            self._asked += 10
            errors += self._ask(numbers)
        return errors

    def engage_again(self) -> int:
        """Ask for what was not done; how many are done now."""
        again, self.open = self.open, []
        return len(again) - len(self._ask(again))

    def answers(self) -> bool:
        """Whether the writer writes."""
        return not self.engage(10)

    def _ask(self, numbers: Any) -> list[EventStoreError]:
        asked = {
            number: handle(
                self.writer,
                EngageLead(kind="call", note=f"{number} {NOTE}"),
                self.lead,
                self._context(number),
            )
            for number in numbers
        }
        errors = []
        for number, answer in asked.items():
            try:
                self.told[number] = answer.result(60).version
            except EventStoreError as error:
                self.open.append(number)
                errors.append(error)
        return errors

    def _context(self, number: int | None) -> Context:
        key = None if number is None else IdempotencyKey(b"scope", str(number), b"digest")
        return Context(actor=UUID(int=1), correlation_id=uuid7(), key=key)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
