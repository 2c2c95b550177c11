"""The past of one record: `history`, `diff`, `why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
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
    Stream,
    Zone,
    examples,
)
from cli.session import session
from replay.base import Bounds, bounds, find_stream
from replay.diff import diff as compared
from replay.history import history as told_of
from replay.people import People
from replay.why import why as explained

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replay.diff import Diff
    from replay.history import Happening
    from replay.why import Why

app = typer.Typer()


Since = Annotated[
    str | None,
    typer.Option("--from", metavar="T", help="The earlier moment; without it, nothing yet."),
]
Until = Annotated[
    str | None,
    typer.Option("--to", "--as-of", metavar="T", help="The later moment; without it, no bound."),
]
KnownFrom = Annotated[
    str | None,
    typer.Option(
        "--known-from",
        metavar="T|N",
        help="What the log knew at the earlier moment; otherwise the same as --known-at.",
    ),
]


@app.command(
    epilog=examples(
        "backstory history 0198a1b2",
        "backstory history 0198a1b2 --as-of 2024-03-01",
        "backstory history 0198a1b2 --known-at 2024-03-01T12:00Z --json",
    )
)
def history(
    stream: Stream,
    *,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Tell what happened to a record, and what was true of it then."""
    with session(data, database_url, "history", show.say) as opened:
        log = opened.workspace.log
        told = told_of(log, find_stream(log, stream), bounds(log, as_of, known_at, zone))
        if json:
            show.as_json(told)
            return
        names = _names(People(log), told.record.values(), told.happenings)
    console = show.console()
    title = f"{told.aggregate} {told.stream_id}, {show.within(told.within)}"
    console.print(show.happenings(told.happenings, title, names))
    console.print(show.pairs({k: names.of(v) for k, v in told.record.items()}, "The record then"))
    if told.later:
        console.print(f"{told.later} later events lie beyond these bounds.")


@app.command(
    epilog=examples(
        "backstory diff 0198a1b2 --from 2024-01-01 --to 2024-03-31",
        "backstory diff 0198a1b2 --from 2024-03-31 --known-from 2024-04-01 --to 2024-03-31",
    )
)
def diff(
    stream: Stream,
    *,
    since: Since = None,
    until: Until = None,
    known_from: KnownFrom = None,
    known_at: KnownAt = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Show what changed about a record between two moments, and through what."""
    nothing_yet = since is None and known_from is None
    with session(data, database_url, "diff", show.say) as opened:
        log = opened.workspace.log
        before = bounds(log, since, known_from or known_at, zone)
        found = compared(
            log,
            find_stream(log, stream),
            Bounds(known_at=0) if nothing_yet else before,
            bounds(log, until, known_at, zone),
        )
        if json:
            show.as_json(found)
            return
        values = [item for change in found.changes for item in (change.old, change.new)]
        names = _names(People(log), values, found.happenings)
    _compare(found, names, "before it began" if nothing_yet else show.within(found.since))


def _compare(found: Diff, names: show.Names, since: str) -> None:
    console = show.console()
    title = f"{found.aggregate} {found.stream_id}"
    if not found.happenings:
        console.print(f"Nothing happened to the {title} in between.")
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in ("field", since, show.within(found.until)):
        table.add_column(heading)
    for change in found.changes:
        table.add_row(change.field, *map(escape, map(names.of, (change.old, change.new))))
    console.print(table)
    console.print(show.happenings(found.happenings, "Through these events", names))


@app.command(
    epilog=examples(
        "backstory why 0198a1b2 status",
        "backstory why 0198a1b2 custom.total_visits --as-of 2024-03-01",
    )
)
def why(
    stream: Stream,
    field: Annotated[
        str, typer.Argument(metavar="FIELD", help="Such as status, amount or custom.visits.")
    ],
    *,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Name the event that gave a field its value, who caused it, and because of what."""
    with session(data, database_url, "why", show.say) as opened:
        log = opened.workspace.log
        found = explained(log, find_stream(log, stream), field, bounds(log, as_of, known_at, zone))
        if json:
            show.as_json(found)
            return
        names = _names(People(log), (found.value, found.previous))
    _explain(found, names)


def _explain(found: Why, names: show.Names) -> None:

    setter = found.setter
    answer = {
        found.field: names.of(found.value),
        "because": f"{show.kind(setter.type)} (position {setter.position}, {setter.event_id})",
        "by": setter.actor_name or str(setter.actor),
        "happened": f"{show.time(setter.occurred_at)} UTC",
        "recorded": f"{show.time(setter.recorded_at)} UTC",
        "it says": show.said(setter.fields),
        "asked for": f"in request {found.request.correlation_id}, "
        f"by {found.request.actor_name or found.request.actor}",
    }
    if found.previous_setter is not None:
        before = found.previous_setter
        answer["before"] = (
            f"{names.of(found.previous)}, by {show.kind(before.type)} of "
            f"{show.time(before.occurred_at)} UTC"
        )
    console = show.console()
    title = f"{found.aggregate} {found.stream_id}, {show.within(found.within)}"
    console.print(show.pairs(answer, title))
    if found.together:
        console.print(show.happenings(found.together, "Recorded together with it", names))
    if found.causes:
        console.print(show.happenings(found.causes, "Because of this, nearest cause first", names))


def _names(people: People, values: Iterable[Any], told: Sequence[Happening] = ()) -> show.Names:
    """The names of the users among values, and among what changed."""
    changes = (change for one in told for change in one.changes)
    changed = (item for change in changes for item in (change.old, change.new))
    ids = {item for item in (*values, *changed) if isinstance(item, UUID)}
    return show.Names({item: name for item in ids if (name := people.name(item))})
