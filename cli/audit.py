"""`audit`: whether the log is what was signed, and proofs for whoever wants to check himself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.markup import escape

from cli import show
from cli.bar import bar
from cli.options import DEFAULT_DATA, Anchors, AsJson, Data, DatabaseUrl, Trusted, examples
from cli.proof import shown
from cli.session import session
from eventstore.anchor import notes
from eventstore.notes import NoteWrong, SigningKeys, SigningKeyWrong, Verifier, rotate
from eventstore.places import AnchorUnknown, notes_at, place
from eventstore.sealer import Sealer
from eventstore.stamps import StampWrong
from eventstore.tree import NotSealed, TreeDamaged
from replay import proofs
from replay.audit import audit_workspace
from replay.backup import Backup
from replay.base import ReplayError

if TYPE_CHECKING:
    from replay.audit import Audit

app = typer.Typer(help="Prove the log, and check the proofs.", no_args_is_help=True)


@app.command(
    epilog=examples(
        "backstory audit verify",
        "backstory audit verify --checkpoint /media/auditor/checkpoint.txt",
        "backstory audit verify --anchor git:/srv/checkpoints",
        "backstory audit verify --key backstory/5f0c…+1d2e3f40+AZ…",
    )
)
def verify(
    *,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="A checkpoint held elsewhere, or many of them; again for more.",
        ),
    ] = None,
    anchor: Anchors = None,
    key: Trusted = None,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
    json: AsJson = False,
) -> None:
    """Compute the tree anew from every event, and compare it with all that was signed."""
    try:
        held = [note for path in checkpoint or [] for note in notes(path)]
        held += [note for declared in anchor or [] for note in notes_at(declared, data)]
        trusted = [Verifier.parse(text) for text in key or []]
    except (AnchorUnknown, NoteWrong, SigningKeyWrong, StampWrong) as wrong:
        raise typer.BadParameter(str(wrong)) from None
    with (
        session(data, database_url, "audit", show.say) as opened,
        shown("Hashing every event", opened.workspace.log) as progress,
    ):
        found = audit_workspace(opened.workspace, held, trusted, progress)
    if json:
        show.as_json(found.told())
    else:
        _show(found)
    if not found.good:
        raise typer.Exit(1)


def _show(found: Audit) -> None:
    console = show.console()
    console.print(
        f"{found.size} events up to position {found.position or 0} hashed in "
        f"{found.seconds:.1f} s and compared with {found.checkpoints} checkpoints."
    )
    if found.tail is not None:
        first, last = found.tail
        console.print(
            f"Not sealed yet: {found.tail_events} events, positions {first} to {last}; nothing "
            "can be said of them."
        )
    for finding in found.findings:
        console.print(f"[bold red]{finding.kind}[/bold red]: {escape(finding.what)}")
    if found.good:
        console.print("[bold green]The log is what was signed.[/bold green]")


@app.command(
    epilog=examples(
        "backstory audit segments /media/auditor/backup",
        "backstory audit segments backup --key backstory/5f0c…+1d2e3f40+AZ…",
    )
)
def segments(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    *,
    key: Trusted = None,
    data: Data = DEFAULT_DATA,
    json: AsJson = False,
) -> None:
    """Check the segments of a backup, without a database: each event against what was signed."""
    try:
        trusted = [Verifier.parse(text) for text in key or []] or SigningKeys.of(data).verifiers
    except SigningKeyWrong as wrong:
        raise typer.BadParameter(str(wrong)) from None
    found = Backup.open(folder, trusted)
    with bar(show.console(stderr=True), "Hashing every event") as advance:
        advance(0, found.checkpoint.size)
        for rows, _ in found.rows():
            advance(len(rows))
    checkpoint = found.checkpoint
    if json:
        show.as_json({"good": True, "size": checkpoint.size, "root": checkpoint.root_text})
        return
    show.console().print(
        f"{checkpoint.size} events in {len(found.segments)} segments are what {checkpoint.origin} "
        f"has signed, root {checkpoint.root_text}."
    )


@app.command(epilog=examples("backstory audit seal"))
def seal(
    *, anchor: Anchors = None, data: Data = DEFAULT_DATA, database_url: DatabaseUrl = None
) -> None:
    """Seal what is not sealed yet; a running server does so by itself."""
    with (
        session(data, database_url, "audit", show.say) as opened,
        shown("Sealing", opened.workspace.log) as progress,
    ):
        sealer = Sealer.of(opened.workspace, [place(declared, data) for declared in anchor or []])
        try:
            sealer.seal(progress)
        except TreeDamaged as damaged:
            show.say(f"Nothing was sealed: {damaged}. See `backstory audit verify`.")
            raise typer.Exit(1) from None
        sealer.close()
        for one in sealer.anchor.standing():
            if one.error:
                show.say(f"The checkpoint was not kept at {one.kind}: {one.error}.")
        note = proofs.checkpoint(opened.workspace.log)
    typer.echo(note, nl=False)


@app.command(epilog=examples("backstory audit checkpoint", "backstory audit checkpoint > kept.txt"))
def checkpoint(*, data: Data = DEFAULT_DATA, database_url: DatabaseUrl = None) -> None:
    """Print the newest checkpoint, to be kept where nobody else can change it."""
    with session(data, database_url, "audit", show.say) as opened:
        note = proofs.checkpoint(opened.workspace.log)
    typer.echo(note, nl=False)


@app.command(epilog=examples("backstory audit prove 0198a1b2-6a1e-5c9a-b0f4-5a4f8e4f7c11"))
def prove(
    event: Annotated[UUID, typer.Argument(metavar="EVENT", help="Id of the event.")],
    *,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Prove that an event is in the log that was signed (RFC 9162, as JSON)."""
    with session(data, database_url, "audit", show.say) as opened:
        log = opened.workspace.log
        try:
            found = proofs.inclusion(log, proofs.position_of(log, event))
        except NotSealed as unsealed:
            raise ReplayError(f"{unsealed}: `backstory audit seal` seals it") from None
    show.as_json(found)


@app.command(epilog=examples("backstory audit continues 20000", "backstory audit continues 1 2"))
def continues(
    old: Annotated[int, typer.Argument(min=0, metavar="OLD", help="Events in the older log.")],
    new: Annotated[
        int | None, typer.Argument(min=0, metavar="NEW", help="In the later one; or the newest.")
    ] = None,
    *,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Prove that the log continues that of an older checkpoint (RFC 9162, as JSON)."""
    with session(data, database_url, "audit", show.say) as opened:
        found = proofs.consistency(opened.workspace.log, old, new)
    show.as_json(found)


@app.command(epilog=examples("backstory audit keys", "backstory audit keys --rotate --retire"))
def keys(
    *,
    new: Annotated[
        bool, typer.Option("--rotate", help="Sign with a new key as well, from the next start on.")
    ] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="With --rotate: destroy the older secrets.")
    ] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Print the public keys that checkpoints are verified with, a line each."""
    if retire and not new:
        raise typer.BadParameter("--retire goes with --rotate")
    found = rotate(data, retire=retire) if new else SigningKeys.of(data)
    for verifier in found.verifiers:
        typer.echo(str(verifier))
