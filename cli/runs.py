"""`backstory imports`: which files were imported, when and by whom, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

from cli import show
from cli.options import DEFAULT_DATA, AsJson, Data, DatabaseUrl, examples
from cli.session import session
from imports.runs import runs
from replay.people import People

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from imports.runs import Run

app = typer.Typer()

COUNTS = ("rows", "created", "updated", "refused", "events")


@app.callback(
    invoke_without_command=True,
    epilog=examples("backstory imports", "backstory imports --json"),
)
def imports(
    context: typer.Context,
    *,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Tell which files were imported, when and by whom, and what came of it."""
    if context.invoked_subcommand:
        return
    with session(data, database_url, "imports", show.say) as opened:
        log = opened.workspace.log
        found = runs(log)
        people = People(log)
        names = {run.id: people.name(run.started.actor) or "" for run in found}
    if json:
        show.as_json([run.as_dict() for run in found])
    elif found:
        show.console().print(_table(found, names))
    else:
        show.say("Nothing was imported yet.")


def _table(found: Sequence[Run], names: Mapping[UUID, str]) -> Table:
    table = Table(title="Imports", title_justify="left", header_style="bold")
    for heading in ("run", "began", "by", "recipe", "files", "state"):
        table.add_column(heading, no_wrap=heading in {"run", "began"})
    for heading in COUNTS:
        table.add_column(heading, justify="right")
    for run in found:
        told = run.as_dict()
        table.add_row(
            str(run.id)[:8],
            show.time(told["started_at"]),
            escape(names[run.id]),
            escape(told["recipe"]),
            escape(", ".join(file.file for file in told["files"])),
            run.state.status,
            *("–" if told[count] is None else f"{told[count]:,}" for count in COUNTS),
        )
    return table
