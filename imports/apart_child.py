"""The process that reads a long file, and checks the commands of its rows: see `apart`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from eventstore.collector import collect_seldom
from imports.apart import begin, dump, load
from imports.rows import Rows
from imports.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imports.apart import Work
    from imports.rows import Packed

ROWS_AT_ONCE = 500


def main() -> None:
    """Read what standard input says, and tell the rows on standard output."""
    begin()
    try:
        for heard in _ready(load(sys.stdin.buffer)):
            dump(heard, sys.stdout.buffer)
    except Exception as error:  # noqa: BLE001 - whoever wants the rows has to know
        dump(error, sys.stdout.buffer)
    else:
        dump(None, sys.stdout.buffer)


def _ready(work: Work) -> Iterator[tuple[int, list[Packed]]]:
    """Rows that were checked, so many at once."""
    recipe, characters = work.recipe, 0

    def read(more: int) -> None:
        nonlocal characters
        characters += more

    step = Rows(recipe, recipe.step[work.step], work.reading, work.path, Spill())
    ready: list[Packed] = []
    for row in step.read_here(read, first=work.first):
        ready.append(row.packed())
        if len(ready) == ROWS_AT_ONCE:
            yield characters, ready
            ready, characters = [], 0
    yield characters, ready


if __name__ == "__main__":
    collect_seldom()
    main()
