"""`publish`: the tables kept up to date in a database that many read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import show
from cli.options import DEFAULT_DATA, Data, DatabaseUrl, examples
from cli.session import session
from projections.tables import Tables
from replay.lake import Lake, on_objects
from replay.publication import follow
from replay.reporting import Reporting

if TYPE_CHECKING:
    from cli.session import Session
    from replay.publication import Target

app = typer.Typer(
    help="Keep the tables up to date in a database that many read.", no_args_is_help=True
)

FOLDER = "published"
"""Where a publisher keeps its own tables, in the directory of the workspace."""

Once = Annotated[bool, typer.Option("--once", help="End when all of the log is published.")]


@app.command(
    epilog=examples(
        "backstory publish lake --storage /mnt/shared/lake --once",
        "backstory publish lake --storage s3://crm/lake --catalog postgresql://crm@db/lake",
    )
)
def lake(
    *,
    storage: Annotated[
        str,
        typer.Option(
            metavar="DIR|S3",
            help="Where the Parquet files go, and readers find them: a folder, or "
            "s3://bucket/prefix with keys in AWS_ACCESS_KEY_ID and so on.",
        ),
    ],
    catalog: Annotated[
        str | None,
        typer.Option(metavar="URL", help="PostgreSQL for the catalogue; else that of the log."),
    ] = None,
    once: Once = False,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Publish in DuckLake, for many DuckDB processes on many machines; until Ctrl-C."""
    with session(data, database_url, "publish", show.say) as opened:
        workspace = opened.workspace
        url, schema = catalog or workspace.database_url, f"lake_of_{workspace.name}"
        place = storage if on_objects(storage) else str(Path(storage).resolve())
        with closing(Lake(url, schema, place)) as target:
            _publish(opened, target, f"schema {schema}", once=once)


@app.command(
    epilog=examples(
        "backstory publish postgresql --once",
        "backstory publish postgresql --to postgresql://crm@warehouse/bi --schema crm",
    )
)
def postgresql(
    *,
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="A database; else that of the log.")
    ] = None,
    schema: Annotated[str, typer.Option(help="Where the views are made.")] = "reporting",
    once: Once = False,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Publish in a schema of PostgreSQL, for Superset, Metabase, Power BI; until Ctrl-C."""
    with (
        session(data, database_url, "publish", show.say) as opened,
        closing(Reporting(to or opened.workspace.database_url, schema)) as target,
    ):
        _publish(opened, target, f"schema {schema}", once=once)


def _publish(opened: Session, target: Target, where: str, *, once: bool) -> None:
    with closing(Tables(opened.workspace.directory / FOLDER)) as tables:
        told = -1
        for position in follow(tables, opened.workspace.log, target):
            if position != told:
                show.say(f"Published up to position {position:,}: {where}")
            told = position
            if once:
                return
