"""`backstory duplicates`: who stands in the base more than once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from cli import show
from cli.options import DEFAULT_DATA, Data, DatabaseUrl, examples
from cli.session import session
from cli.sql import Format, print_answer
from cli.tables import Refused, tables
from imports.duplicates import QUESTIONS, THRESHOLD, Member, duplicates
from replay.base import NO_BOUND

app = typer.Typer()

SCHEMA = dict.fromkeys(Member._fields, pl.String) | {
    "cluster": pl.Int64,
    "probability": pl.Float64,
}


@app.command(
    "duplicates",
    epilog=examples(
        "backstory duplicates",
        "backstory duplicates --of customers --threshold 0.5",
        "backstory duplicates -o twice.csv",
    ),
)
def duplicates_(
    *,
    of: Annotated[
        str, typer.Option("--of", metavar="WHAT", help="people (leads, contacts) or customers.")
    ] = "people",
    threshold: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="How probable it has to be that two are one.")
    ] = THRESHOLD,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.csv", help="Write a CSV file.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="table, json or csv.")] = Format.table,  # noqa: A002
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Find records that are probably one, by Splink; nothing is merged or changed.

    Live records are compared that have something telling in common. Records of one cluster hang
    together by pairs; each is told with how probable its likest pair is, and what agrees in it.
    """
    if of not in QUESTIONS:
        raise typer.BadParameter(f"--of is one of {', '.join(QUESTIONS)}, not {of!r}")
    with session(data, database_url, "duplicates", show.say) as opened, tables(opened) as asking:
        try:
            records = asking.sql(QUESTIONS[of], NO_BOUND).to_dicts()
        except Refused as error:
            raise typer.BadParameter(
                f"names and addresses are needed for this, and cannot be read here: {error}"
            ) from None
    found = duplicates(records, threshold)
    answer = pl.DataFrame(found, schema=SCHEMA, orient="row")
    if output is None:
        print_answer(answer, format)
    else:
        output.write_text(answer.write_csv(), encoding="utf-8")
    clusters = answer["cluster"].n_unique()
    summary = f"{len(records):,} records, {len(found):,} of them in {clusters:,} clusters"
    show.say(f"{summary}: see {output}" if output else summary)
