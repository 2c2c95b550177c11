"""`backstory import`: files become history."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from cli import show
from cli.options import DEFAULT_DATA, AsJson, Data, DatabaseUrl, examples
from cli.session import session
from domain.user import SYSTEM
from eventstore.writer import Writer
from imports.base import Import
from imports.feed import Feed
from imports.recipe import RecipeInvalid, load
from imports.rehearsal import Rehearsal
from imports.report import Candidates, Errors, Summary
from imports.report import Progress as Silent
from replay.people import find_user

if TYPE_CHECKING:
    from eventstore.intent import Writes

app = typer.Typer()

KNOWN_TOLD = 1_000
COUNTS = ("rows", "imported", "changed", "unchanged", "failed", "events", "clipped")


RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Name of a recipe, or a file NAME.toml.")
]
Files = Annotated[
    Path, typer.Argument(metavar="PATH", help="The folder with the files, or the one file.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Decide everything and store nothing.")]
ErrorsFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where rows that are not taken go, with the reason; RECIPE-errors.csv otherwise.",
    ),
]
CandidatesFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where rows go that may be records there are; RECIPE-candidates.csv otherwise.",
    ),
]
Actor = Annotated[
    str | None,
    typer.Option(metavar="USER", help="In whose name: id, e-mail address or handle of a user."),
]


@app.command(
    "import",
    epilog=examples(
        "backstory import deals_maven ~/Downloads/deals_maven",
        "backstory import leads_xeducation Leads.csv --dry-run",
        "backstory import my_leads.toml exports/ --errors rejected.csv --json",
    ),
)
def import_(
    recipe: RecipeName,
    path: Files,
    *,
    dry_run: DryRun = False,
    errors: ErrorsFile = None,
    candidates: CandidatesFile = None,
    actor: Actor = None,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Import files by a recipe. Asked again, it takes what is new or has changed, nothing twice."""
    try:
        chosen = load(recipe)
        with ExitStack() as stack:
            feed = stack.enter_context(Feed(chosen, path))
            log = stack.enter_context(session(data, database_url, "import", show.say)).workspace.log
            rejected = Errors(errors or Path(f"{chosen.name}-errors.csv"))
            likely = Candidates(candidates or Path(f"{chosen.name}-candidates.csv"))
            writer: Writes = (
                Rehearsal(log) if dry_run else stack.enter_context(Writer(log, gather_seconds=0))
            )
            work = Import(
                feed,
                log,
                writer,
                actor=find_user(log, actor) if actor else SYSTEM,
                errors=stack.enter_context(rejected),
                candidates=stack.enter_context(likely),
                progress=stack.enter_context(Bars()),
            )
            summary = work.run()
    except RecipeInvalid as error:
        raise typer.BadParameter(str(error)) from None
    if json:
        files = {"errors_file": rejected.made, "candidates_file": likely.made}
        show.as_json(summary.as_dict() | {"dry_run": dry_run} | files)
    else:
        _show(summary, rejected, likely, dry_run=dry_run)
    if summary.total.failed:
        raise typer.Exit(1)


class Bars(Silent):
    """How far each file is read, and how fast."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:>9,} rows"),
            TextColumn("{task.fields[rate]:>7,.0f} rows/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=show.console(stderr=True),
        )
        self._task = TaskID(0)
        self._learning: TaskID | None = None
        self._rows = self._read = self._known = 0
        self._began = 0.0

    def known(self, events: int) -> None:
        """Who is there is read before the first row of a step."""
        if self._learning is None:
            self._learning = self._bars.add_task("who is there", total=None, rows=0, rate=0.0)
        self._known += events
        if self._known % KNOWN_TOLD == 0:
            self._bars.update(self._learning, rows=self._known)

    def begin(self, step: str, characters: int) -> None:
        """A new bar."""
        if self._learning is not None:
            self._bars.update(self._learning, total=1, completed=1, rows=self._known)
            self._learning, self._known = None, 0
        self._rows, self._began = 0, time.perf_counter()
        self._task = self._bars.add_task(escape(step), total=characters or 1, rows=0, rate=0.0)

    def read(self, characters: int) -> None:
        """A little further."""
        self._read += characters

    def done(self, rows: int) -> None:
        """So many more rows, and the rate from the beginning of the step."""
        self._rows += rows
        rate = self._rows / (time.perf_counter() - self._began)
        self._bars.update(self._task, advance=self._read, rows=self._rows, rate=rate)
        self._read = 0

    def end(self) -> None:
        """The bar is full."""
        task = self._bars.tasks[self._task]
        self._bars.update(self._task, completed=task.total)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


def _show(summary: Summary, rejected: Errors, likely: Candidates, *, dry_run: bool) -> None:
    """What was done, for people."""
    title = f"{summary.recipe}: what would be done" if dry_run else summary.recipe
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    table.add_column("step")
    for name in COUNTS:
        table.add_column(name, justify="right")
    steps = {escape(name): tally for name, tally in summary.steps.items()}
    for name, tally in (steps | {"[bold]all[/bold]": summary.total}).items():
        table.add_row(name, *(f"{getattr(tally, count):,}" for count in COUNTS))
    show.console().print(table)
    show.say(f"{summary.seconds:.1f} s, {summary.rows_per_second:,.0f} rows/s")
    if not dry_run:
        show.say(f"This is run {summary.run}: `backstory imports` lists all.")
    if summary.total.clipped:
        show.say(
            f"{summary.total.clipped} events are dated before one that their record has already; "
            "they take effect only after it."
        )
    if likely.made:
        left = summary.total.left_out
        what = f"{left} of them were left out" if left else "all were imported"
        say = f"{summary.total.similar} new rows may be records there are already; {what}"
        show.say(f"{say}: see {likely.made}")
    if rejected.made:
        show.say(f"{rejected.count} rows were not taken, or not whole: see {rejected.made}")
