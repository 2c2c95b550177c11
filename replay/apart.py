"""The log is read, decoded and opened in a process of its own.

The process that writes tables is then left with writing, and the other core has the rest. Batches
come one after the other as they would here, so the tables are the same.
"""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from projections.catch_up import FIRST_ROWS, coming
from projections.passing import PassingEnded, take_in
from replay.base import ReplayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from eventstore.log import Log
    from eventstore.workspace import Workspace
    from projections.batch import Batch
    from projections.catch_up import ReadArrow
    from projections.shape import Shape
    from projections.tables import Tables

    Source = Callable[[Log], ReadArrow]

EVENTS_MIN = 250_000
"""To start a process takes as long as is gained with so many."""

AHEAD_BATCHES = 4
"""How many batches may wait to be written: as many as come while tables are settled."""

FROM_DATABASE: Source = attrgetter("read_arrow")
"""What reads a log out of its database."""


class ReadingLost(ReplayError):
    """The process that reads the log has ended."""


class Work(NamedTuple):
    """What is to be read: a log between two positions, for tables with these personal columns."""

    directory: Path
    database_url: str
    workspace: str
    source: Source
    sealed: Sequence[Shape] | None
    """None where personal values are not opened."""
    after: int
    until: int
    rows: int
    """Of the first batch."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Has the log of a workspace read in another process, where that pays."""

    workspace: Workspace
    source: Source = FROM_DATABASE

    @contextmanager
    def coming(self, tables: Tables, until: int) -> Iterator[Iterator[Future[Batch]]]:
        """The batches up to a position that are new to tables."""
        if until - tables.taken < EVENTS_MIN:
            yield coming(tables, self.source(self.workspace.log), until)
            return
        where = self.workspace
        place = where.directory.resolve(), where.database_url, where.name
        work = Work(*place, self.source, tables.sealed, tables.taken, until, FIRST_ROWS)
        with _reader(work) as said:
            yield _heard(said)


@contextmanager
def _reader(work: Work) -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            command = [sys.executable, "-m", "replay.apart_child", str(theirs.fileno())]
            # In a process group of its own it does not hear Ctrl-C: who reads from it ends it.
            process = subprocess.Popen(  # noqa: S603 - no shell; the arguments are ours
                command, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()], process_group=0
            )
        try:
            with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as told:
                told.write(pickle.dumps((sys.path, work)))
            yield ours
        finally:
            process.kill()  # it has nothing to lose
            process.wait()


def _heard(said: socket.socket) -> Iterator[Future[Batch]]:
    """Batches as they come; for each that is taken another one may be made."""
    try:
        said.send(b"." * AHEAD_BATCHES)
        while (batch := take_in(said)) is not None:
            said.send(b".")
            done: Future[Batch] = Future()
            done.set_result(batch)
            yield done
    except (PassingEnded, ConnectionError):
        raise ReadingLost(ReadingLost.__doc__) from None
