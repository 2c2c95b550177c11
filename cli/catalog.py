"""`backstory catalog`: what can be asked of the tables, and what it means."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli import show
from cli.options import DEFAULT_DATA, AsJson, Data, DatabaseUrl, examples
from cli.session import session
from cli.tables import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from readmodels.catalog import Catalog

app = typer.Typer()

TITLES = {
    "dimension": "Dimensions",
    "fact": "Fact tables",
    "plain": "Tables about the log",
    "report": "Reports",
    "function": "Functions",
    "event": "Events",
}

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="A table, macro, report, function, event, or a column such as deal.amount.",
    ),
]


@app.command(
    epilog=examples(
        "backstory catalog",
        "backstory catalog deal",
        "backstory catalog win_loss.win_rate",
        "backstory catalog deal.won.v1 --json",
        "backstory catalog --markdown reference",
    )
)
def catalog(
    name: Name = None,
    *,
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown", metavar="DIR", help="Write the reference as pages; needs no workspace."
        ),
    ] = None,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Tell what can be asked: tables, columns, reports and events, with units and lineage."""
    if markdown:
        write(markdown)
        return
    with session(data, database_url, "catalog", show.say) as opened, tables(opened) as asking:
        found = asking.catalog(name or "")
    if json:
        show.as_json(found)
    elif "entries" in found:
        _print_all(found["entries"])
    elif "kind" in found:
        _print_one(found)
    else:
        show.console().print(show.pairs(_facts(found), str(name)))


def write(directory: Path) -> None:
    """Write the reference of what is declared, custom fields apart."""
    from cli.reference import pages

    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages(declared()).items():
        (directory / name).write_text(text)


def declared() -> Catalog:
    """The catalogue of a workspace in which nothing has happened yet."""
    from projections.tables import Tables
    from readmodels.catalog import catalog as catalog_of

    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Tables(Path(folder), lambda _: ())) as empty,
    ):
        return catalog_of(empty.database)


def _print_all(entries: list[Mapping[str, Any]]) -> None:
    for kind, title in TITLES.items():
        listed = Table(title=title, title_justify="left", header_style="bold")
        for heading in ("name", "what it is"):
            listed.add_column(heading)
        for entry in entries:
            if entry["kind"] == kind:
                call = f"({', '.join(entry['parameters'])})" if entry["parameters"] else ""
                listed.add_row(escape(entry["name"] + call), escape(entry["description"]))
        show.console().print(listed)


def _print_one(entry: Mapping[str, Any]) -> None:
    console = show.console()
    console.print(f"[bold]{escape(entry['name'])}[/bold]: {escape(entry['description'])}")
    for parameter, told in entry["parameters"].items():
        console.print(f"  {parameter}: {escape(told)}")
    if entry["columns"]:
        listed = Table(header_style="bold")
        for heading in ("column", "type", "unit", "what it means", "from"):
            listed.add_column(heading)
        for column in entry["columns"]:
            listed.add_row(*(escape(text) for text in _row(column)))
        console.print(listed)
    if entry["feeds"]:
        console.print(f"Feeds {', '.join(entry['feeds'])}.")


def _row(column: Mapping[str, Any]) -> tuple[str, ...]:
    unit = " in ".join(part for part in (column["unit"], column["currency"]) if part)
    lineage = column["lineage"]
    source = lineage["columns"] or lineage["fields"] or lineage["events"]
    return column["name"], column["type"], unit, column["description"], ", ".join(source)


def _facts(column: Mapping[str, Any]) -> dict[str, str]:
    _, kind, unit, told, source = _row(column)
    events = ", ".join(column["lineage"]["events"])
    return {"means": told, "type": kind, "unit": unit or "–", "from": source, "events": events}
