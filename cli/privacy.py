"""`privacy`: what is known of a person, and that nothing is left of who was forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli import show
from cli.options import DEFAULT_DATA, AsJson, Data, DatabaseUrl, Stream, examples
from cli.session import AlreadyServed, session
from replay.access import access_report
from replay.base import find_stream
from replay.scan import Scan, Wanted
from replay.scan import scan as look
from replay.scrub import scrub as scrubbed

app = typer.Typer(help="Show what is known of a person; prove nothing is left.")

NOT_BESIDE = "a server runs in this directory and has its files open: stop it first"


@app.command(
    epilog=examples(
        "backstory privacy scan 0198a1b2 --keep /secure/ann.json",
        "backstory privacy scan 0198a1b2 --kept /secure/ann.json",
        "backstory privacy scan 0198a1b2 --kept /secure/ann.json --also /mnt/backup",
    )
)
def scan(
    stream: Stream,
    *,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Before the forgetting: keep here what to look for."),
    ] = None,
    kept: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, help="After it: what was kept before."),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", exists=True, help="Look here too; again for more."),
    ] = None,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Search the database and every file for what was known of a person.

    Without --kept it is the control: the values have to be found where they belong. With it
    nothing may be found. FILE holds the values: destroy it when both are done.
    """
    with session(data, database_url, "privacy scan", show.say) as opened:
        if opened.live:
            raise AlreadyServed(NOT_BESIDE)
        workspace = opened.workspace
        wanted = (
            Wanted.read(kept) if kept else Wanted.of(workspace, find_stream(workspace.log, stream))
        )
        if keep:
            wanted.write(keep)
        with show.console(stderr=True).status("Looking") as status:
            done = look(workspace, wanted, also or (), status.update)
    missing = [] if kept else done.missing()
    good = not (done.found if kept else missing)
    if json:
        places = [{"place": p, "kind": k, "times": n} for (p, k), n in sorted(done.found.items())]
        show.as_json({"good": good, "found": places, "bytes": done.bytes, "missing": missing})
    else:
        _tell(wanted, done, control=not kept)
    if not good:
        raise typer.Exit(1)


def _tell(wanted: Wanted, done: Scan, *, control: bool) -> None:
    console = show.console()
    console.print(
        f"{len(wanted.texts)} values and {len(wanted.keys)} wrapped keys of "
        f"{len(wanted.record_ids)} records looked for in {done.bytes:,} bytes."
    )
    for (place, kind), _ in sorted(done.found.items()):
        console.print(f"{kind}: {escape(place)}")
    if control:
        for place in done.missing():
            console.print(f"[bold red]missing[/bold red]: {place}")
    elif not done.found:
        console.print("[bold green]Nothing was found.[/bold green]")


@app.command(epilog=examples("backstory privacy scrub"))
def scrub(*, data: Data = DEFAULT_DATA, database_url: DatabaseUrl = None) -> None:
    """Take from the disk what was destroyed and may still lie about.

    Personal tables are made anew, tables with keys rewritten, the write-ahead log is passed. The
    user of the database has to be a superuser, as that of the embedded one is.
    """
    with (
        session(data, database_url, "privacy scrub", show.say) as opened,
        show.console(stderr=True).status("Rewriting"),
    ):
        if opened.live:
            raise AlreadyServed(NOT_BESIDE)
        files = scrubbed(opened.workspace)
    show.say(f"Tables are rewritten, and {files} files of the write-ahead log were passed.")


@app.command(
    epilog=examples(
        "backstory privacy report 0198a1b2 > report.md",
        "backstory privacy report 0198a1b2 --json > report.json",
    )
)
def report(
    stream: Stream,
    *,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Print all that is known of a person, in Markdown or as JSON: for that person only."""
    with session(data, database_url, "privacy report", show.say) as opened:
        log = opened.workspace.log
        found = access_report(log, find_stream(log, stream))
    if json:
        show.as_json(found.told())
        return
    for line in found.lines():
        typer.echo(line)
