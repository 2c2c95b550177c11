"""`backstory whatif`: the log read with other rules, and what the reports would say."""

from __future__ import annotations

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
from cli.whatif_page import (
    DECISION,
    Names,
    alike,
    because,
    cell,
    columns,
    decision,
    page,
    pictures,
)
from domain.values import NIL
from replay.base import known
from replay.people import People
from replay.rules import load
from replay.scratch import scratch
from replay.snapshot import Format, check_free, write_snapshot
from replay.whatif import Question, what_if

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replay.contrast import Contrast
    from replay.whatif import WhatIf

app = typer.Typer()

ROWS_SHOWN = 20
"""Of each report; a file has all."""

ID_LENGTH = len(str(NIL))


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
        scratch(opened.workspace.directory, "whatif") as folder,
        bar(show.console(stderr=True), "Reading the log, as it is and otherwise") as advance,
    ):
        log = opened.workspace.log
        end = log.last_position()
        if isinstance(bound, int):
            end = min(bound, end)
        as_of = bound if isinstance(bound, datetime) else None
        question = Question(log, other, after, end, as_of, tuple(report or ()))
        advance(0, question.steps)
        with what_if(question, folder, reached(advance)) as (found, sides):
            if keep:
                write_snapshot(
                    sides.other, opened.workspace, keep, Format.duckdb, rules=other.title
                )
            people = People(log)
            names = {one.actor: people.name(one.actor) for one in found.decisions}
            drawn = pictures(found, sides) if output and output.suffix == ".html" else []
    if output:
        html = output.suffix == ".html"
        written = (
            page(found, rules.read_text(), drawn, names).encode() if html else show.in_json(found)
        )
        _write(output, written)
    if json:
        show.as_json(found)
    elif output:
        show.say(f"{output}: {found.title}")
    else:
        _print(found, names)


def _write(output: Path, content: bytes) -> None:
    """Write a file; what was there before stays until it is whole."""
    draft = output.with_name(f".{output.name}.draft")
    try:
        draft.write_bytes(content)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


def _print(found: WhatIf, names: Names) -> None:
    console = show.console()
    console.print(f"[bold]{escape(found.title)}[/bold]")
    console.print(escape(found.told()))
    for title, table in _tables(found, names):
        console.print(f"\n[italic]{escape(title)}[/italic]", table, sep="\n")
    same = [each.report for each in found.reports if not each.differing]
    if same:
        console.print(f"The same as it is: {', '.join(same)}.")
    for said in found.not_known:
        show.say(said)


def _tables(found: WhatIf, names: Names) -> Iterator[tuple[str, Table]]:
    """What would be other, a table for each part."""
    for each in found.reports:
        if each.differing:
            same = alike(each)
            told = f"{each.report}: {len(each.differing):,} of {each.rows:,} rows differ"
            yield f"{told}{same and ', '}{same}", _rows(each)
    if found.decisions:
        yield (
            f"{len(found.decisions):,} decisions would have been refused",
            _table(
                DECISION,
                [decision(one, names) for one in found.decisions],
            ),
        )
    for of in found.scores:
        if of.movers:
            yield (
                (
                    f"{of.learner}: {of.moved:,} of {of.scores:,} last scores move, by "
                    f"{of.mean_moved:.3f} on average; those that move most"
                ),
                _table(
                    (of.subject_type, "score", "because of (log-odds)"),
                    [
                        (one.subject_id, f"{one.was:.3f} → {one.would_be:.3f}", because(one))
                        for one in of.movers
                    ],
                ),
            )


def _rows(of: Contrast) -> Table:
    keys, measures = columns(of)
    rows = [
        [
            *(show.value(row.key[name]) for name in keys),
            *(cell(row, name) for name in measures),
        ]
        for row in of.differing
    ]
    return _table([*keys, *measures], rows, right=len(measures))


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> Table:
    """The first rows; the last columns stand to the right."""
    table = Table(header_style="bold")
    for number, name in enumerate(names):
        is_figure = number >= len(names) - right
        table.add_column(
            name.replace("_", " "),
            justify="right" if is_figure else "left",
            no_wrap=all(len(row[number]) <= ID_LENGTH for row in rows),
        )
    for row in rows[:ROWS_SHOWN]:
        table.add_row(*map(escape, row))
    if len(rows) > ROWS_SHOWN:
        table.caption = f"… and {len(rows) - ROWS_SHOWN:,} more; -o FILE has all"
    return table
