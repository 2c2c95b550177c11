"""How long work shows that it goes on: one bar, on standard error or where the console is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

BAR_WIDTH = 30


class Advance(Protocol):
    """Tells a bar how much more was done, and, if given, how much there is to do."""

    def __call__(self, by: int, total: int | None = None) -> None:
        """See the class."""


@contextmanager
def bar(console: Console, text: str) -> Iterator[Advance]:
    """A bar for work of unknown length until its total is told; full when the block ends well."""
    columns = (
        TextColumn("[progress.description]{task.description:<46}"),
        BarColumn(bar_width=BAR_WIDTH),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as shown:
        task = shown.add_task(text, total=None)

        def advance(by: int, total: int | None = None) -> None:
            shown.update(task, advance=by, total=total)

        yield advance
        shown.update(task, completed=shown.tasks[0].total or 0)


def reached(advance: Advance) -> Callable[[int], None]:
    """The same bar, told of positions reached instead of steps done."""
    seen = 0

    def at(position: int) -> None:
        nonlocal seen
        advance(position - seen)
        seen = position

    return at
