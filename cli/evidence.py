"""`evidence`: what happened to a customer, proved, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import show
from cli.options import (
    DEFAULT_DATA,
    DEFAULT_ZONE,
    AsJson,
    Data,
    DatabaseUrl,
    Stream,
    Zone,
    examples,
)
from cli.session import session
from replay import check_bundle
from replay.base import find_stream, moment
from replay.evidence import evidence
from replay.report import has_pdf

app = typer.Typer(help="Hand out what happened, with the proof.", no_args_is_help=True)


@app.command(
    epilog=examples(
        "backstory evidence customer 0198a1b2 -o evidence.zip",
        "backstory evidence customer 0198a1b2 --from 2024-01-01 --to 2024-12-31 -o evidence.zip",
    )
)
def customer(
    stream: Stream,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="The bundle.")
    ],
    since: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Only what happened after then.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="T", help="Only what happened by then.")
    ] = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Write what happened to a customer, and why, with proofs that need nothing of Backstory.

    The report in the bundle shows personal values: give it only to those who may see them.
    """
    with session(data, database_url, "evidence", show.say) as opened:
        bundle = evidence(
            opened.workspace,
            find_stream(opened.workspace.log, stream),
            moment(since, zone) if since else None,
            moment(until, zone) if until else None,
        )
    draft = output.with_name(f"{output.name}.part")
    draft.write_bytes(bundle)
    draft.replace(output)
    if not has_pdf():
        show.say("There is no report.pdf in it: that needs pip install 'backstory[report]'.")
    show.say(f"{output}: take verify.py from it, then `python verify.py {output}`.")


@app.command(epilog=examples("backstory evidence verify evidence.zip"))
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    *,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Trust this public key only; again for more."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Check a bundle; without --key the public keys in it are believed, and shown."""
    try:
        said = check_bundle.check(file.read_bytes(), key or [])
    except check_bundle.BundleWrong as wrong:
        if json:
            show.as_json({"good": False, "why": str(wrong)})
        else:
            show.say(f"NOT proved: {wrong}")
        raise typer.Exit(1) from None
    if json:
        show.as_json({"good": True, "proved": said})
        return
    for line in [*said, "Proved."]:
        typer.echo(line)
