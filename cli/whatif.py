"""`backstory whatif`: the log read with other rules, and what the reports would say."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli import show
from cli.bar import bar, reached
from cli.options import (
    DEFAULT_DATA,
    DEFAULT_ZONE,
    AsJson,
    Data,
    DatabaseUrl,
    Zone,
    examples,
    one_of,
)
from cli.session import session
from cli.whatif_page import alike, because, cell, columns, page, pictures
from replay.base import known
from replay.rules import load
from replay.snapshot import Format, check_free, write_snapshot
from replay.whatif import Question, what_if

if TYPE_CHECKING:
    from replay.contrast import Contrast
    from replay.movers import Moved
    from replay.whatif import WhatIf

app = typer.Typer()

ROWS_SHOWN = 20
"""Of each report; a file has all."""

MANY = 5
"""Columns of figures that are too many to stand in one line each."""


@app.command(
    epilog=examples(
        "backstory whatif rules.toml",
        "backstory whatif rules.toml --from 2025-12-31 --to 2026-06-30 -o whatif.html",
        "backstory whatif rules.toml --report deal_forecast --report win_loss --json",
        "backstory whatif rules.toml --keep what-if, then "
        "backstory sql --snapshot what-if 'FROM deal_pipeline()'",
    )
)
def whatif(
    rules: Annotated[
        Path,
        typer.Argument(metavar="RULES", dir_okay=False, help="What would be other: a .toml file."),
    ],
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="T|N",
            help="In force after this time, or position, instead of `since` in the file.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="T|N",
            help="Ask what would be so then: a time, or what was known at a position.",
        ),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(
            "--report",
            metavar="NAME",
            help="Compare this report, not those the rules are about; again for more.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=one_of(".html", ".json"),
            help="A .html page with pictures, or a .json file, with every row that differs.",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="DIR",
            help="Keep the tables by these rules, as a snapshot for `backstory sql --snapshot`.",
        ),
    ] = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Read the log with other rules, beside it as it is, and show what reports would say."""
    other = load(rules)
    after = known(since, zone) if since else other.after(zone)
    bound = known(until, zone) if until else None
    if keep:
        check_free(keep)
    with (
        session(data, database_url, "whatif", show.say) as opened,
        tempfile.TemporaryDirectory(prefix="whatif-", dir=opened.workspace.directory) as folder,
        bar(show.console(stderr=True), "Reading the log, as it is and otherwise") as advance,
    ):
        log = opened.workspace.log
        end = log.last_position()
        if isinstance(bound, int):
            end = min(bound, end)
        as_of = bound if isinstance(bound, datetime) else None
        question = Question(log, other, after, end, as_of, tuple(report or ()))
        advance(0, question.steps)
        with what_if(question, Path(folder), reached(advance)) as (found, sides):
            if keep:
                write_snapshot(
                    sides.other, opened.workspace, keep, Format.duckdb, rules=other.title
                )
            drawn = pictures(found, sides) if output and output.suffix == ".html" else []
    if output:
        html = output.suffix == ".html"
        written = page(found, rules.read_text(), drawn).encode() if html else show.in_json(found)
        _write(output, written)
    if json:
        show.as_json(found)
    elif output:
        show.say(f"{output}: {found.title}")
    else:
        _print(found)


def _write(output: Path, content: bytes) -> None:
    """Write a file; what was there before stays until it is whole."""
    draft = output.with_name(f".{output.name}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


def _print(found: WhatIf) -> None:
    console = show.console()
    console.print(f"[bold]{escape(found.title)}[/bold]")
    console.print(escape(found.told()))
    for each in found.reports:
        if each.differing:
            console.print(_table(each))
    for learner in found.scores:
        if learner.movers:
            console.print(_movers(learner))
    same = [each.report for each in found.reports if not each.differing]
    if same:
        console.print(f"The same as it is: {', '.join(same)}.")
    for said in found.not_known:
        show.say(said)


def _table(of: Contrast) -> Table:
    keys, measures = columns(of)
    same = alike(of)
    title = f"{of.report}: {len(of.differing):,} of {of.rows:,} rows differ{same and ', '}{same}"
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for name in keys:
        table.add_column(name.replace("_", " "))
    for name in measures:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=len(measures) < MANY)
    for row in of.differing[:ROWS_SHOWN]:
        cells = [cell(row, name) for name in measures]
        table.add_row(*(escape(show.value(row.key[name])) for name in keys), *map(escape, cells))
    if len(of.differing) > ROWS_SHOWN:
        table.caption = f"… and {len(of.differing) - ROWS_SHOWN:,} more; -o FILE has all"
    return table


def _movers(of: Moved) -> Table:
    title = (
        f"{of.learner}: {of.moved:,} of {of.scores:,} last scores move, by {of.mean_moved:.3f} on "
        "average; those that move most"
    )
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    table.add_column(of.subject_type)
    table.add_column("score", justify="right")
    table.add_column("because of (log-odds)")
    for mover in of.movers:
        score = f"{mover.was:.3f} → {mover.would_be:.3f}"
        table.add_row(mover.subject_id, score, escape(because(mover)))
    return table
