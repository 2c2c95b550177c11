"""`backstory imports`: which files were imported, when and by whom, and what came of it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli import show
from cli.imports import Actor, Bars
from cli.options import DEFAULT_DATA, AsJson, Data, DatabaseUrl, examples
from cli.session import session
from domain.user import SYSTEM
from eventstore.writer import Writer
from imports.rehearsal import Rehearsal
from imports.report import Kept
from imports.revert import Revert
from imports.runs import find_run, runs
from replay.people import People, find_user

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from eventstore.intent import Writes
    from imports.revert import Reverted
    from imports.runs import Run

app = typer.Typer()

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or its first digits.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before.")]
UnchangedFields = Annotated[
    bool,
    typer.Option(
        "--unchanged-fields",
        help="Of records changed since, restore the fields that nobody changed.",
    ),
]
KeptFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where the records go that are kept, and why; RECIPE-kept.csv otherwise.",
    ),
]

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


@app.command(
    epilog=examples(
        "backstory import revert 4e1f5f0c --dry-run",
        "backstory import revert 4e1f5f0c --yes --kept kept.csv --json",
    )
)
def revert(
    run: RunId,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    unchanged_fields: UnchangedFields = False,
    kept: KeptFile = None,
    actor: Actor = None,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Take back what an import did, as events, but for records that were changed since.

    What the run made is retracted; what it changed has the values of before again. Started again
    after a crash it goes on; all of it can be imported again afterwards.
    """
    with ExitStack() as stack:
        log = stack.enter_context(session(data, database_url, "revert", show.say)).workspace.log
        found = find_run(log, run)
        if found.state.status == "reverted":
            _tell(found.as_dict(), json=json, said="This run was taken back before: nothing to do.")
            return
        if not (yes or dry_run) and not typer.confirm(_question(found), err=True):
            raise typer.Exit(1)
        told = Kept(kept or Path(f"{found.state.started.recipe}-kept.csv"))  # type: ignore[union-attr]
        writer: Writes = Rehearsal(log) if dry_run else stack.enter_context(Writer(log))
        work = Revert(
            log,
            writer,
            found,
            actor=find_user(log, actor) if actor else SYSTEM,
            kept=stack.enter_context(told),
            progress=stack.enter_context(Bars()),
            unchanged_fields=unchanged_fields,
        )
        came = work.revert()
    counts = asdict(came) | {"run": found.id, "dry_run": dry_run}
    if json:
        show.as_json(counts | {"kept_file": told.made, "first_kept": told.first})
    else:
        _show(came, told, dry_run=dry_run)


def _question(run: Run) -> str:
    started, told = run.state.started, run.as_dict()
    recipe = started.recipe if started else ""
    made, changed = told["created"] or 0, told["updated"] or 0
    return (
        f"Take back the import {recipe} of {show.time(run.started.recorded_at)} UTC, "
        f"{made:,} records made and {changed:,} changed?"
    )


def _tell(answer: dict[str, Any], *, json: bool, said: str) -> None:
    if json:
        show.as_json(answer | {"retracted_now": 0})
    else:
        show.say(said)


def _show(came: Reverted, told: Kept, *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    console = show.console()
    console.print(
        f"{came.retracted:,} records {would}taken back, {came.restored:,} {would}restored, "
        f"{came.kept:,} kept as they are."
    )
    if told.first:
        table = Table(title="Kept, or not whole", title_justify="left", header_style="bold")
        for heading in Kept.HEADER:
            table.add_column(heading)
        for one in told.first:
            table.add_row(*(escape(show.value(one[name])) for name in Kept.HEADER))
        console.print(table)
        show.say(f"All {told.count:,} with what stands in the way: see {told.made}")


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
