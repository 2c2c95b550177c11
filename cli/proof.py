"""`verify` and `rebuild`: everything follows from the log, and can be made again from it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cli import show
from cli.bar import bar, reached
from cli.options import DEFAULT_DATA, AsJson, Data, DatabaseUrl, examples
from cli.session import session
from cli.tables import rebuilt, tables, turned_back
from eventstore.notes import SigningKeys
from replay.backup import Backup
from replay.verify import verify as compared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.log import Log
    from replay.tables import Progress as Told
    from replay.verify import Verdict

app = typer.Typer()


@app.command(
    epilog=examples(
        "backstory rebuild",
        "backstory rebuild --parts 8",
        "backstory rebuild --from-segments /media/backup",
        "backstory rebuild --data /var/lib/backstory",
    )
)
def rebuild(
    *,
    parts: Annotated[
        int, typer.Option(min=1, max=64, help="Cut the log by streams: a process for each part.")
    ] = 1,
    segments: Annotated[
        Path | None,
        typer.Option(
            "--from-segments",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Read the log from a backup, and only what is newer from the database.",
        ),
    ] = None,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Make the tables anew from the log, beside the old ones, and put them in their place."""
    if segments and parts > 1:
        raise typer.BadParameter("--from-segments reads the whole log, --parts cuts it: choose one")
    backup = Backup.open(segments, SigningKeys.of(data).verifiers) if segments else None
    with (
        session(data, database_url, "rebuild", show.say) as opened,
        shown("Rebuilding", opened.workspace.log) as progress,
    ):
        done = rebuilt(opened, progress, parts=parts, backup=backup)
    if json:
        show.as_json(done)
        return
    wrong = [name for name, same in done.same.items() if not same]
    show.console().print(
        f"{len(done.same)} tables rebuilt up to position {done.position} in {done.seconds:.1f} s."
    )
    if wrong:
        show.say(f"Not what the log says were before: {', '.join(wrong)}.")
    elif not done.same:
        show.say("The tables from before could not be read.")


@app.command(epilog=examples("backstory rollback", "backstory rollback --json"))
def rollback(
    *, data: Data = DEFAULT_DATA, database_url: DatabaseUrl = None, json: AsJson = False
) -> None:
    """Put the tables from before the last rebuild in the place of those of now."""
    with (
        session(data, database_url, "rollback", show.say) as opened,
        shown("Catching up", opened.workspace.log) as progress,
    ):
        done = turned_back(opened, progress)
    if json:
        show.as_json(done)
        return
    show.console().print(
        f"The {len(done.same)} tables from before count again, up to position {done.position}; "
        "`backstory rollback` once more turns to those of the rebuild."
    )
    if wrong := [name for name, same in done.same.items() if not same]:
        show.say(f"Other than in the tables of the rebuild: {', '.join(wrong)}.")


@app.command(epilog=examples("backstory verify", "backstory verify --models --json"))
def verify(
    *,
    models: Annotated[
        bool, typer.Option("--models", help="Learn anew as well, and compare every score.")
    ] = False,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Rebuild everything from the log in an empty directory, and name what is not the same."""
    with (
        session(data, database_url, "verify", show.say) as opened,
        tables(opened, current=False) as kept,
        shown("Rebuilding in an empty directory", opened.workspace.log) as progress,
    ):
        verdict = compared(opened.workspace, kept, models=models, progress=progress)
    if json:
        show.as_json(verdict.told())
    else:
        _show(verdict)
    if not verdict.good:
        raise typer.Exit(1)


def _show(verdict: Verdict) -> None:
    """What was compared, and every difference."""
    console = show.console()
    good = sum(verdict.tables.values())
    console.print(
        f"{good} of {len(verdict.tables)} tables are what the log says up to position "
        f"{verdict.position} of {verdict.log_position}; "
        f"{verdict.reservations} reservations recomputed"
        + ("; every score learned anew." if verdict.models else ".")
    )
    if verdict.streams_sealed:
        console.print(f"{verdict.streams_sealed} streams are sealed: their keys are gone.")
    for finding in verdict.findings:
        console.print(f"[bold red]{finding.kind}[/bold red]: {escape(finding.what)}")
    if verdict.good:
        console.print("[bold green]Verified.[/bold green]")


@contextmanager
def shown(text: str, log: Log) -> Iterator[Told]:
    """How far the log was followed, for whoever watches."""
    with bar(show.console(stderr=True), text) as advance:
        advance(0, log.last_position())
        yield reached(advance)
