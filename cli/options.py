"""Options that many verbs take, with one name and one meaning each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="BACKSTORY_DIRECTORY",
        metavar="DIR",
        help="Directory of the workspace: database, keys, tables.",
    ),
]
DEFAULT_DATA = Path("data")

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="BACKSTORY_DATABASE_URL",
        metavar="URL",
        help="PostgreSQL 15 or later to use instead of the embedded one in DIR.",
    ),
]

Stream = Annotated[
    str, typer.Argument(metavar="STREAM", help="Id of the record, or its first digits.")
]

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="T",
        help="Only what had happened by then. A bare date is the end of that day.",
    ),
]

KnownAt = Annotated[
    str | None,
    typer.Option(
        "--known-at",
        metavar="T|N",
        help="Only what the log knew by then: a time, or a position in the log.",
    ),
]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))  # the default is one already
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise typer.BadParameter(f"{name!r} is no time zone; try UTC or Europe/Berlin") from None


Zone = Annotated[
    ZoneInfo,
    typer.Option(
        "--zone",
        envvar="BACKSTORY_ZONE",
        metavar="ZONE",
        parser=_zone,
        show_default="UTC",
        help="Whose days bare dates are, such as Europe/Berlin.",
    ),
]
DEFAULT_ZONE = ZoneInfo("UTC")

Trusted = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="KEY", help="Trust this public key only; again for more."),
]

Anchors = Annotated[
    list[str] | None,
    typer.Option(
        "--anchor",
        envvar="BACKSTORY_ANCHORS",
        metavar="PLACE",
        help="Where else checkpoints are kept: file:PATH, git:DIR, mailto:ADDRESS, https://… or "
        "rfc3161:URL; again for more.",
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


def examples(*lines: str) -> str:
    """The end of a help text: what one would type."""
    return "\n\n".join(("Examples:", *(f"$ {line}" for line in lines)))


def one_of(*suffixes: str) -> Callable[[Path | None], Path | None]:
    """Checks before any work that a file has one of these suffixes, and a folder to be in."""
    known = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"

    def check(path: Path | None) -> Path | None:
        if path is None:
            return None
        if path.suffix.lower() not in suffixes:
            raise typer.BadParameter(f"{path.name!r} is no {known}")
        if not path.parent.is_dir():
            raise typer.BadParameter(f"there is no folder {path.parent}")
        return path

    return check
