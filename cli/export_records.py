"""`export records`: every record as the commands that make it again, with their recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli import show
from cli.options import (
    DEFAULT_DATA,
    DEFAULT_ZONE,
    AsJson,
    AsOf,
    Data,
    DatabaseUrl,
    KnownAt,
    Zone,
    examples,
)
from cli.proof import shown
from cli.session import session
from domain.user import SYSTEM
from imports.again import KINDS
from imports.export import LEFT_OUT, RECIPE, Export, Exported
from imports.sheets import Format
from replay.base import bounds
from replay.people import find_user
from replay.snapshot import check_free, drafted

app = typer.Typer()


def _kind(name: str) -> str:
    if name not in KINDS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(KINDS)}")
    return name


@app.command(
    epilog=examples(
        "backstory export records -o records --personal",
        "backstory export records -o records --personal --format parquet",
        "backstory export records -o leads --only lead --as-of 2025-12-31",
        "backstory import records/recipe.toml records --data another",
    )
)
def records(
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="A folder that is not there yet."),
    ],
    format: Annotated[  # noqa: A002
        Format, typer.Option("--format", help="One file for each kind of record, as this.")
    ] = Format.csv,
    personal: Annotated[
        bool, typer.Option("--personal", help="Personal values too; that is noted as a read.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", parser=_kind, help="Only this kind; again for more."),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(metavar="USER", help="Who reads: id, e-mail address or handle of a user."),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Write all records to a folder, whole or not at all: importing them gives an equal base."""
    check_free(output)
    with session(data, database_url, "export", show.say) as opened:
        log = opened.workspace.log
        within = bounds(log, as_of, known_at, zone)
        with drafted(output) as draft, shown("Exporting", log) as progress:
            written = Export(
                log,
                draft,
                format,
                personal=personal,
                actor=find_user(log, actor) if actor else SYSTEM,
                as_of=within.as_of,
                known_at=within.known_at,
                only=tuple(only or KINDS),
                progress=progress,
            ).run()
    if json:
        show.as_json(written.as_dict())
        return
    _show(written, output)
    show.say(f"At position {written.position:,}, {show.within(within)}.")


def _show(written: Exported, output: Path) -> None:
    """What was written, for people."""
    table = Table(header_style="bold")
    table.add_column("kind")
    table.add_column("rows", justify="right")
    for kind, rows in written.rows.items():
        table.add_row(kind, f"{rows:,}")
    show.console().print(table)
    if not written.personal:
        show.say("Without personal values: ids stand for names. With --personal they go along.")
    if written.left_out:
        show.say(f"{written.left_out:,} records or changes are left out: {output / LEFT_OUT}.")
    show.say(f"`backstory import {output / RECIPE} {output}` makes the same base elsewhere.")
