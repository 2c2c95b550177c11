"""The process that reads a long file, and checks the commands of its rows: see `apart`."""

from __future__ import annotations

import copyreg
import pickle
import signal
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import UUID

from eventstore.collector import collect_seldom
from imports.rows import Rows
from imports.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imports.apart import Work
    from imports.rows import Row

ROWS_AT_ONCE = 500


def main() -> None:
    """Read what standard input says, and tell the rows on standard output."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody hears any more: that is the end
    sys.path, work = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent says it
    try:
        for heard in _ready(work):
            _say(heard)
    except Exception as error:  # noqa: BLE001 - whoever wants the rows has to know
        _say(error)
    else:
        _say(None)


def _ready(work: Work) -> Iterator[tuple[int, list[Row]]]:
    """Rows whose commands were checked, so many at once."""
    recipe, characters = work.recipe, 0

    def read(more: int) -> None:
        nonlocal characters
        characters += more

    step = Rows(recipe, recipe.step[work.step], work.reading, work.path, Spill())
    ready: list[Row] = []
    for row in step.read_here(read, first=work.first):
        ready.append(row.checked())
        if len(ready) == ROWS_AT_ONCE:
            yield characters, ready
            ready, characters = [], 0
    yield characters, ready


def _say(heard: object) -> None:
    said = BytesIO()
    pickler = pickle.Pickler(said, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = copyreg.dispatch_table | {UUID: _id}
    pickler.dump(heard)
    sys.stdout.buffer.write(said.getbuffer())
    sys.stdout.buffer.flush()


def _id(id_: UUID) -> tuple[Any, ...]:
    """An id in a third of the room and time that it takes by itself."""
    return UUID, (None, id_.bytes)


if __name__ == "__main__":
    collect_seldom()
    main()
