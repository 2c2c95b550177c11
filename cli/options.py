"""Options that many verbs take, with one name and one meaning each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


def examples(*lines: str) -> str:
    """The end of a help text: what one would type."""
    return "\n\n".join(("Examples:", *(f"$ {line}" for line in lines)))
