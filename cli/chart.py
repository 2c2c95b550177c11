"""`backstory chart`: pictures of what the reports say, at any moment."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

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
from cli.tables import Refused, tables
from replay.base import bounds, moment

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from replay.base import Bounds

app = typer.Typer()

INSTALL = "pictures need the extra `charts`: pip install 'backstory[charts]'"
SCALE = 2
"""Pixels of a PNG for each point."""


class Asking(Protocol):
    """Whoever answers questions about a moment."""

    def sql(self, sql: str, within: Bounds) -> pl.DataFrame:
        """The answer to a SELECT."""


class Subject(StrEnum):
    """What there are pictures of."""

    pipeline = "pipeline"
    funnel = "funnel"
    waterfall = "waterfall"
    forecast = "forecast"
    cohort = "cohort"
    scores = "scores"


@app.command(
    epilog=examples(
        "backstory chart pipeline -o pipeline.svg",
        "backstory chart pipeline --as-of 2025-12-31 -o then.png",
        "backstory chart waterfall --since 2026-01-01 -o waterfall.html",
        "backstory chart cohort -o cohort.svg",
    )
)
def chart(
    subject: Annotated[Subject, typer.Argument(help="What to draw.", show_choices=True)],
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=one_of(".svg", ".png", ".html"),
            help="A .svg, .png or .html file.",
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="Where a waterfall begins; else the first deal."),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    zone: Zone = DEFAULT_ZONE,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Draw a report as it was at a moment, to a file that needs no network to be seen."""
    try:
        import cli.pictures  # noqa: F401 - whether it can be, before anything is opened
    except ImportError:
        raise Refused(INSTALL) from None
    if since and subject is not Subject.waterfall:
        raise typer.BadParameter("only a waterfall begins at a moment", param_hint="--since")
    begin = moment(since, zone) if since else None
    with session(data, database_url, "chart", show.say) as opened:
        within = bounds(opened.workspace.log, as_of, known_at, zone)
        with tables(opened) as asking:
            picture, said = drawing(asking, subject, within, begin)
    save(picture, output)
    show.say(f"{output}: {said}")


def drawing(
    asking: Asking, subject: str, within: Bounds, begin: datetime | None = None
) -> tuple[Any, str]:
    """A picture of what the tables say at a moment, and what it is of; Refused if there is none."""
    from cli.pictures import PICTURES, drawn

    if subject not in PICTURES:
        raise Refused(f"there is no picture {subject!r}, but of {', '.join(PICTURES)}")
    picture = PICTURES[subject]
    start = f"'{begin.isoformat()}'" if begin else "NULL"
    rows = plain(asking.sql(picture.sql.format(since=start), within))
    if not rows:
        raise Refused(f"there is nothing to draw: no {subject} {show.within(within)}")
    [(at, position)] = asking.sql(
        "SELECT moment(), (SELECT max(position) FROM event)", within
    ).rows()
    moment_told = told(at, position, begin)
    return drawn(picture, rows, [moment_told, picture.about]), f"{picture.title}, {moment_told}"


def plain(answer: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them; exact amounts become what can be drawn."""
    return [{name: _drawable(value) for name, value in row.items()} for row in answer.to_dicts()]


def _drawable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def told(at: datetime, position: int, since: datetime | None = None) -> str:
    """The moment in words."""
    begun = f"From {since:%-d %B %Y} to" if since else "As of"
    return f"{begun} {at:%-d %B %Y, %H:%M} UTC, as known at position {position:,}"


def save(picture: Any, output: Path) -> None:
    """Write a picture; what was there before stays until it is whole."""
    kind = output.suffix.lower().removeprefix(".")
    draft = output.with_name(f".{output.name}.{kind}")
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        more: dict[str, Any] = {"inline": True} if kind == "html" else {}
        picture.save(str(draft), format=kind, scale_factor=SCALE if kind == "png" else 1, **more)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
