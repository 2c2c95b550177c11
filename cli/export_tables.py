"""`export tables`: all tables at one position, for DuckDB and whatever reads Parquet."""

from __future__ import annotations

from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from projections.tables import Tables
from replay.base import bounds
from replay.beginning import begin_from
from replay.rebuild import open_renewed
from replay.scratch import scratch
from replay.snapshot import SNAPSHOTS, Format, check_free, told, write_snapshot
from replay.tables import catch_up, open_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.session import Session
    from replay.tables import Progress

app = typer.Typer()


@app.command(
    epilog=examples(
        "backstory export tables",
        "backstory export tables --format parquet -o lake --as-of 2025-12-31",
        "backstory export tables --personal -o /mnt/safe/with-names",
    )
)
def tables(
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="snapshots/TIME in --data, where `serve` finds it",
            help="A folder that is not there yet.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        Format, typer.Option("--format", help="One DuckDB file, or a folder of Parquet per table.")
    ] = Format.duckdb,
    personal: Annotated[
        bool, typer.Option("--personal", help="The personal columns too, unsealed.")
    ] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Write all tables at one position to a folder, whole or not at all, with what proves it."""
    if output is None and (personal or as_of or known_at or format is not Format.duckdb):
        raise typer.BadParameter("only what `serve` can begin from has a place; name another")
    output = output or data / SNAPSHOTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    check_free(output)
    with session(data, database_url, "export", show.say) as opened:
        within = bounds(opened.workspace.log, as_of, known_at, zone)
        with (
            shown("Following the log", opened.workspace.log) as progress,
            current(opened, output.parent, progress, personal=personal) as held,
        ):
            written = write_snapshot(
                held, opened.workspace, output, format, within, personal=personal
            )
    if json:
        show.as_json(told(written))
    else:
        show.say(
            f"{output}: {len(written.tables)} tables at position {written.position:,}, "
            f"{show.within(within)}"
        )


@contextmanager
def current(
    session: Session, snapshots: Path, progress: Progress, *, personal: bool
) -> Iterator[Tables]:
    """The tables at the end of the log; beside a server, which has its own open, others."""
    workspace, log = session.workspace, session.workspace.log
    with scratch(workspace.directory, "export") as folder:
        if session.live:
            begin_from(snapshots, folder, log)
            held = open_tables(workspace, folder) if personal else Tables(folder)
        else:
            held = open_renewed(workspace, progress)
        with closing(held):
            catch_up(held, log, log.last_position(), progress)
            yield held
