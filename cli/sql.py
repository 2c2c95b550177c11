"""`backstory sql`: any question, at any moment."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import show
from cli.options import (
    DEFAULT_DATA,
    DEFAULT_ZONE,
    AsOf,
    Data,
    DatabaseUrl,
    KnownAt,
    Zone,
    examples,
    one_of,
)
from cli.session import session
from cli.tables import Mine, tables
from readmodels import formats
from readmodels.answer import refound
from replay.base import bounds
from replay.snapshot import opened as opened_snapshot

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer()


class Format(StrEnum):
    """How an answer is printed."""

    table = "table"
    json = "json"
    csv = "csv"


@app.command(
    epilog=examples(
        "backstory sql 'SELECT status, count(*) FROM lead GROUP BY ALL'",
        "backstory sql 'SELECT sum(amount) FROM deal' --as-of 2024-03-31",
        "backstory sql 'FROM deal' --known-at 1200 --format csv > deals.csv",
        "backstory sql 'FROM deal' --as-of 2024-03-31 -o deals.parquet",
        "backstory sql 'DESCRIBE lead'",
        "backstory sql --snapshot what-if 'FROM deal_pipeline()'",
    )
)
def sql(
    statement: Annotated[
        str, typer.Argument(metavar="SELECT", help="One SELECT, as DuckDB has it; `-` reads it.")
    ],
    *,
    format: Annotated[Format, typer.Option("--format", help="table, json or csv.")] = Format.table,  # noqa: A002
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=one_of(*(f".{name}" for name in formats.Format)),
            help="A .csv, .json, .arrow or .parquet file instead of printing.",
        ),
    ] = None,
    snapshot: Annotated[
        Path | None,
        typer.Option(
            "--snapshot",
            metavar="DIR",
            help="Ask the tables in this folder, which need no log: see `export tables`, `whatif`.",
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Ask the tables; with a moment, every table named is that of the moment."""
    asked = sys.stdin.read() if statement == "-" else statement
    if snapshot:
        with opened_snapshot(snapshot) as kept:
            if kept.manifest.rules:
                show.say(f"By other rules: {kept.manifest.rules}")
            within = bounds(kept, as_of, known_at, zone)
            answer = Mine(kept.database).sql(asked, within)
    else:
        with session(data, database_url, "sql", show.say) as opened:
            within = bounds(opened.workspace.log, as_of, known_at, zone)
            with tables(opened) as asking:
                answer = asking.sql(asked, within)
    if output is None:
        print_answer(answer, format)
    else:
        save_answer(answer, output)
        show.say(f"{output}: {len(answer):,} rows")


def save_answer(answer: pl.DataFrame, path: Path) -> None:
    """Write rows to a file, named after its format, that is there whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    how = formats.Format(path.suffix[1:].lower())
    try:
        with draft.open("wb") as file:
            file.writelines(formats.written(refound(answer), how))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def print_answer(answer: pl.DataFrame, how: Format) -> None:
    """Print rows as they were asked for."""
    match how:
        case Format.json:
            show.as_json(answer.to_dicts())
        case Format.csv:
            sys.stdout.write(answer.write_csv())
        case Format.table:
            table = Table(header_style="bold")
            for name, kind in answer.schema.items():
                table.add_column(escape(name), justify="right" if kind.is_numeric() else "left")
            for row in answer.iter_rows():
                table.add_row(*(escape(show.value(cell)) for cell in row))
            show.console().print(table)
            show.say(f"{len(answer):,} rows" if len(answer) != 1 else "1 row")
