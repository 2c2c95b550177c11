"""Backstory without HTTP: so many callers at once hand commands to one writer.

python -m benchmarks.callers DIRECTORY URL CALLERS [--old] SECONDS WARM_UP

With `--old` every third command is about one of the first leads of the log, which are not in
memory at first.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from api.handover import answered
from benchmarks.leads import QUALIFY, capture
from benchmarks.window import Window
from commands.base import handle
from commands.lead import CaptureLead, EngageLead, QualifyLead
from domain.user import SYSTEM
from eventstore.collector import collect_seldom
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from commands.base import Command
    from domain.lead import Lead
    from eventstore.log import Log

OLD_EVENTS = 10_000

qualify = QualifyLead.model_validate(QUALIFY)
engage = EngageLead.model_validate({"kind": "form_submitted"})


async def submit(writer: Writer, command: Command[Lead], lead: UUID) -> None:
    """Ask for one thing, and wait for the commit."""
    context = Context(actor=SYSTEM, correlation_id=uuid7())
    await answered(handle(writer, command, lead, context))


async def call(
    writer: Writer, window: Window, numbers: itertools.count[int], old: Iterator[UUID]
) -> None:
    """Capture and qualify one lead after the other, and hear from old ones."""
    going = True
    while going:
        lead = uuid7()
        # Whoever submits has validated before: that is the work of the doors.
        captured = CaptureLead.model_construct(**capture(f"{next(numbers)}"))
        wishes: list[tuple[Command[Lead], UUID]] = [(captured, lead), (qualify, lead)]
        wishes += [(engage, one) for one in itertools.islice(old, 1)]
        for command, id_ in wishes:
            began = time.perf_counter()
            await submit(writer, command, id_)
            going = window.note(began)


def old_leads(log: Log) -> Iterator[UUID]:
    """The first leads of the log, here and there, over and over."""
    streams = list(dict.fromkeys(one.stream_id for one in log.read(limit=OLD_EVENTS)))
    return itertools.cycle(streams[::7] + streams[3::7])


async def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.callers")
    parser.add_argument("directory", type=Path)
    parser.add_argument("url")
    parser.add_argument("callers", type=int)
    parser.add_argument("--old", action="store_true")
    parser.add_argument("seconds", type=float)
    parser.add_argument("warm_up", type=float)
    given = parser.parse_args()
    numbers = itertools.count(time.time_ns() // 1000)  # addresses nobody had before
    with Workspace.open(given.directory, given.url) as workspace, Writer(workspace.log) as writer:
        old = old_leads(workspace.log) if given.old else iter(())
        with Window(given.seconds, given.warm_up) as window:
            await asyncio.gather(
                *(call(writer, window, numbers, old) for _ in range(given.callers))
            )


if __name__ == "__main__":
    collect_seldom()
    uvloop.run(main())
