"""API keys, who may ask in whose name; and the rotation of the key of keys."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from api.auth import ApiKeys
from cli import show
from cli.bar import bar, reached
from cli.options import DEFAULT_DATA, AsJson, Data, DatabaseUrl, examples
from cli.session import AlreadyServed, session
from eventstore.key_services import next_key_service
from eventstore.roots import rotate as rotated
from replay.people import People, find_user

app = typer.Typer(help="Make, list and end API keys; rotate the master key.", no_args_is_help=True)


@app.command(
    epilog=examples(
        "backstory key create --actor ann@example.com --label laptop",
        "backstory key create --actor 0198a1b2 --label 'support desk' --personal",
    )
)
def create(
    *,
    actor: Annotated[
        str, typer.Option(metavar="USER", help="Id, e-mail address or handle of the user.")
    ],
    label: Annotated[str, typer.Option(metavar="TEXT", help="What the key is for.")],
    personal: Annotated[
        bool, typer.Option("--personal", help="Let the key see personal values.")
    ] = False,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Make a key for a user. It is shown this once: only its hash is kept."""
    with session(data, database_url, "key create", show.say) as opened:
        user = find_user(opened.workspace.log, actor)
        made = ApiKeys(opened.workspace).create(user, label, personal=personal)
    if json:
        show.as_json({"key": made, "actor": user, "label": label, "personal": personal})
        return
    typer.echo(made)
    show.say("Keep it well: it is not shown again. Use it as `Authorization: Bearer …`.")


@app.command("list", epilog=examples("backstory key list", "backstory key list --json"))
def list_(
    *, data: Data = DEFAULT_DATA, database_url: DatabaseUrl = None, json: AsJson = False
) -> None:
    """List every key there ever was; the keys themselves are not kept."""
    with session(data, database_url, "key list", show.say) as opened:
        keys = ApiKeys(opened.workspace).list()
        people = People(opened.workspace.log)
        actors = {key.actor: people.name(key.actor) or str(key.actor) for key in keys}
    if json:
        show.as_json(keys)
        return
    table = Table("id", "user", "label", "personal", "made", "ended", header_style="bold")
    for key in keys:
        table.add_row(
            str(key.id),
            *map(escape, (actors[key.actor], key.label)),
            *map(show.value, (key.personal, key.created_at, key.revoked_at)),
        )
    show.console().print(table)


@app.command(epilog=examples("backstory key revoke 0198a1b2-6a1e-7c9a-b0f4-5a4f8e4f7c11"))
def revoke(
    id: Annotated[UUID, typer.Argument(metavar="ID", help="As `backstory key list` shows it.")],
    *,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """End a key. A running server heeds it within seconds."""
    with session(data, database_url, "key revoke", show.say) as opened:
        ended = ApiKeys(opened.workspace).revoke(id)
    if not ended:
        show.say(f"There is no key {id} that was still good.")
        raise typer.Exit(1)
    show.say(f"The key {id} opens nothing any more.")


@app.command(
    epilog=examples(
        "backstory key rotate",
        "BACKSTORY_NEXT_MASTER_KEY=$(openssl rand -hex 32) backstory key rotate",
        "BACKSTORY_NEXT_KMS_COMMAND='/usr/local/bin/kms crm' backstory key rotate",
    )
)
def rotate(
    *, data: Data = DEFAULT_DATA, database_url: DatabaseUrl = None, json: AsJson = False
) -> None:
    """Wrap the keys of all persons anew, under another master key or key service.

    The next one is named by BACKSTORY_NEXT_MASTER_KEY, BACKSTORY_NEXT_KMS_COMMAND or
    BACKSTORY_NEXT_KMS_URL; else it is a new master.key. Broken off, it goes on when called again.
    Afterwards the one from before opens nothing. No server may run meanwhile.
    """
    with session(data, database_url, "key rotate", show.say) as opened:
        if opened.live:
            raise AlreadyServed("a server runs in this directory: stop it to rotate its keys")
        workspace = opened.workspace
        if workspace.keys is None:
            raise ValueError("a session opens a workspace with its keys")
        following = next_key_service(data)
        with bar(show.console(stderr=True), "Wrapping keys") as advance:
            done = rotated(data, workspace.log, workspace.keys, following, reached(advance))
    if json:
        show.as_json({"keys": done.keys, "service": done.service})
        return
    show.say(f"{done.keys} keys are wrapped anew, by the {done.service}; the one before is void.")
