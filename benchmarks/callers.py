"""Backstory without HTTP: so many callers at once hand commands to one writer.

python -m benchmarks.callers DIRECTORY URL CALLERS SECONDS WARM_UP
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks.leads import QUALIFY, capture
from benchmarks.window import Window
from commands.base import handle
from commands.lead import CaptureLead, QualifyLead
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer

if TYPE_CHECKING:
    from uuid import UUID

    from commands.base import Command
    from domain.lead import Lead

qualify = QualifyLead.model_validate(QUALIFY)


async def submit(writer: Writer, command: Command[Lead], lead: UUID) -> None:
    """Ask for one thing, and wait for the commit."""
    context = Context(actor=SYSTEM, correlation_id=uuid7())
    await asyncio.wrap_future(handle(writer, command, lead, context))


async def call(writer: Writer, window: Window, numbers: itertools.count[int]) -> None:
    """Capture and qualify one lead after the other."""
    going = True
    while going:
        lead = uuid7()
        # Whoever submits has validated before: that is the work of the doors.
        command = CaptureLead.model_construct(**capture(f"{next(numbers):08}"))
        began = time.perf_counter()
        await submit(writer, command, lead)
        window.note(began)
        began = time.perf_counter()
        await submit(writer, qualify, lead)
        going = window.note(began)


async def main() -> None:
    """See above."""
    directory, url, callers, seconds, warm_up = sys.argv[1:]
    numbers = itertools.count()
    with (
        Workspace.open(Path(directory), url) as workspace,
        Writer(workspace.log) as writer,
        Window(float(seconds), float(warm_up)) as window,
    ):
        await asyncio.gather(*(call(writer, window, numbers) for _ in range(int(callers))))


if __name__ == "__main__":
    uvloop.run(main())
