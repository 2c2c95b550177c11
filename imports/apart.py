"""The rows of a long file are read and checked in a process of their own.

The process that writes is then left with deciding and writing, and the other core has the rest.
The rows come one after the other as they would here, so the log is the same.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from imports.recipe import Recipe
    from imports.rows import Row
    from imports.source import Reading

BYTES_MIN = 2_000_000
"""To start a process takes as long as to read a file of so many bytes."""


class ReadingLost(Exception):
    """The process that reads the file has ended. Import again: what is there is not done twice."""


class Work(NamedTuple):
    """What is to be read: a step of a recipe over a file."""

    recipe: Recipe
    step: int
    reading: Reading
    path: Path
    first: bool
    """Whether the step is the first on the file."""


def rows(work: Work, tell: Callable[[int], None]) -> Iterator[Row]:
    """The rows of a step; `tell` hears how many characters were read."""
    with _reader(work) as said:
        while (heard := _hear(said)) is not None:
            characters, ready = heard
            tell(characters)
            yield from ready


@contextmanager
def _reader(work: Work) -> Iterator[IO[bytes]]:
    command = [sys.executable, "-m", "imports.apart_child"]
    # In a process group of its own it does not hear Ctrl-C: who reads from it ends it.
    process = subprocess.Popen(  # noqa: S603 - no shell; the arguments are ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    )
    told, heard = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    try:
        with told:
            told.write(pickle.dumps((sys.path, work)))
        yield heard
    except BrokenPipeError:
        raise ReadingLost(ReadingLost.__doc__) from None
    finally:
        process.kill()  # it has nothing to lose
        heard.close()
        process.wait()


def _hear(said: IO[bytes]) -> Any:
    """Some more rows, with how many characters they took; None when there are no more."""
    try:
        heard = pickle.load(said)  # noqa: S301 - our own child says it
    except (EOFError, pickle.UnpicklingError):
        raise ReadingLost(ReadingLost.__doc__) from None
    if isinstance(heard, Exception):
        raise heard
    return heard
