"""What takes long about a long file is done by processes of their own.

One reads the rows and checks them, another looks for whoever they may be. The process that writes
is then left with deciding and writing, and the other cores have the rest: threads would wait for
each other, and the writer for all of them (1,500 rows/s with candidates, and 4,600 so). The rows
come one after the other as they would here, so the log is the same.
"""

from __future__ import annotations

import copyreg
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from imports.recipe import Recipe
    from imports.rows import Packed
    from imports.source import Reading

BYTES_MIN = 2_000_000
"""To start a process takes as long as to read a file of so many bytes."""


class ProcessLost(Exception):
    """A process that works for the import has ended. Import again: nothing is done twice."""


class Process:
    """A process that runs a module of ours; both sides say and hear things."""

    def __init__(self, module: str) -> None:
        # In a process group of its own it does not hear Ctrl-C: who started it ends it.
        self._process = subprocess.Popen(  # noqa: S603 - no shell; the arguments are ours
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        self.say(sys.path)

    def say(self, thing: object) -> None:
        """Hand a thing over; what was said back before has to be heard first."""
        try:
            dump(thing, cast("IO[bytes]", self._process.stdin))
        except BrokenPipeError:
            raise ProcessLost(ProcessLost.__doc__) from None

    def hear(self) -> Any:
        """The next thing that it says; an exception is raised."""
        try:
            heard = load(cast("IO[bytes]", self._process.stdout))
        except (EOFError, pickle.UnpicklingError):
            raise ProcessLost(ProcessLost.__doc__) from None
        if isinstance(heard, Exception):
            raise heard
        return heard

    def end(self) -> None:
        """End it: it has nothing to lose."""
        self._process.kill()
        with suppress(BrokenPipeError), self._process:  # what was not handed over stays so
            pass


class Work(NamedTuple):
    """What is to be read: a step of a recipe over a file."""

    recipe: Recipe
    step: int
    reading: Reading
    path: Path
    first: bool
    """Whether the step is the first on the file."""


class Reader(Process):
    """A process that reads rows. It has to be told of which file, once it is there."""

    def __init__(self) -> None:
        super().__init__("imports.apart_child")

    def rows(self, work: Work, tell: Callable[[int], None]) -> Iterator[Packed]:
        """The rows of a step, packed; `tell` hears how many characters were read."""
        self.say(work)
        while (heard := self.hear()) is not None:
            characters, ready = heard
            tell(characters)
            yield from ready


def begin() -> None:
    """Begin as a `Process`."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody hears any more: that is the end
    sys.path = load(sys.stdin.buffer)


def load(said: IO[bytes]) -> Any:
    """The next thing on a pipe."""
    return pickle.load(said)  # noqa: S301 - both ends are ours


def dump(thing: object, to: IO[bytes]) -> None:
    """Put a thing on a pipe."""
    said = BytesIO()
    pickler = pickle.Pickler(said, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = copyreg.dispatch_table | {UUID: _id}
    pickler.dump(thing)
    to.write(said.getbuffer())
    to.flush()


def _id(id_: UUID) -> tuple[Any, ...]:
    """An id in a third of the room and time that it takes by itself."""
    return UUID, (None, id_.bytes)
