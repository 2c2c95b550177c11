"""`backup` and `restore`: the sealed log as files, and a new installation from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli import show
from cli.bar import bar, reached
from cli.options import DEFAULT_DATA, AsJson, Data, DatabaseUrl, Trusted, examples
from cli.proof import shown
from cli.session import session
from eventstore.notes import VARIABLE, SigningKeys, Verifier
from replay import restore as restoring
from replay.backup import Backup, write

app = typer.Typer()

SECRETS = {"master.key": "BACKSTORY_MASTER_KEY", "signing.key": VARIABLE}


@app.command(
    epilog=examples("backstory backup /media/backup", "backstory backup /media/backup --json")
)
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="Where to.")],
    *,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Write the sealed log, and what stands beside it, as files; again, only what is new.

    Keep master.key and signing.key elsewhere: they are not in it, and without them it is not
    restored.
    """
    with (
        session(data, database_url, "backup", show.say) as opened,
        shown("Writing segments", opened.workspace.log) as progress,
    ):
        made = write(opened.workspace, folder, progress)
    if json:
        show.as_json(
            {
                "size": made.checkpoint.size,
                "position": made.position,
                "root": made.checkpoint.root_text,
                "segments": made.segments,
            }
        )
        return
    show.console().print(
        f"{made.checkpoint.size} events up to position {made.position} in "
        f"{len(made.segments)} segments, root {made.checkpoint.root_text}."
    )


@app.command(
    epilog=examples(
        "backstory restore /media/backup --data new",
        "backstory restore /media/backup --database-url postgresql://crm@db/crm",
    )
)
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    *,
    key: Trusted = None,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Fill a new installation from a backup, once all of it is as it was sealed.

    Put master.key and signing.key of the old installation into the directory before.
    """
    for name, variable in SECRETS.items():
        if not (data / name).exists() and not os.environ.get(variable):
            raise restoring.RestoreRefused(
                f"put {name} of the old installation into {data} first, or set {variable}"
            )
    trusted = [Verifier.parse(text) for text in key or []]
    found = Backup.open(folder, trusted or SigningKeys.of(data).verifiers)
    with (
        session(data, database_url, "restore", show.say) as opened,
        bar(show.console(stderr=True), "Restoring") as advance,
    ):
        if opened.live:
            raise restoring.RestoreRefused(f"a server runs in {data}: stop it first")
        advance(0, found.position)
        done = restoring.restore(opened.workspace, found, reached(advance))
    if json:
        show.as_json(done)
        return
    show.console().print(
        f"{done.size} events up to position {done.position} restored in {done.seconds:.1f} s under "
        f"the root that was signed, {done.root}. The tables are made at the next start."
    )
