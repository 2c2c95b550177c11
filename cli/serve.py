"""`backstory serve`: everything in one command, and everything stops with it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.app import Server
from api.node import Node
from cli import show
from cli.background import Learners, Policies, Ticker, first_key
from cli.options import DEFAULT_DATA, DEFAULT_ZONE, Anchors, Data, DatabaseUrl, Zone, examples
from cli.session import AlreadyServed, Live, SessionError, embedded, lock, reachable
from eventstore.logs import configure
from eventstore.workspace import Workspace
from replay.beginning import begin_from
from replay.snapshot import SNAPSHOTS
from replay.tables import current

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from types import FrameType

app = typer.Typer()

DRAIN_SECONDS_MAX = 30
"""How long requests under way may take to finish after SIGTERM."""


class PortTaken(SessionError):
    """Something else listens on the port."""


@app.command(
    epilog=examples(
        "backstory serve",
        "backstory serve --data /var/lib/backstory --port 8080",
        "backstory serve --snapshot /mnt/shared/snapshots",
        "backstory serve --anchor git:/srv/checkpoints --anchor mailto:auditor@example.com",
        "BACKSTORY_DATABASE_URL=postgresql://crm@db/crm backstory serve --host 0.0.0.0",
    )
)
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    snapshot: Annotated[
        Path | None,
        typer.Option(
            "--snapshot",
            metavar="DIR",
            exists=True,
            file_okay=False,
            show_default="DIR/snapshots of --data",
            help="Begin tables that are not there yet from this export, or the newest in a folder.",
        ),
    ] = None,
    zone: Zone = DEFAULT_ZONE,
    anchor: Anchors = None,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Run the database, the API and the learners, until Ctrl-C or SIGTERM."""
    configure()
    with site(data, "serve", host, port) as (stack, listening):
        url = reachable(database_url) if database_url else embedded(stack, data)
        begin(data, url, snapshot or data / SNAPSHOTS)
        run(data, url, listening, zone=zone, anchors=anchor or ())


@contextmanager
def site(data: Path, verb: str, host: str, port: int) -> Iterator[tuple[ExitStack, socket.socket]]:
    """A directory and a port that are ours, until the end: also that by SIGTERM or Ctrl-C.

    What is started meanwhile goes on the stack, to be unwound then.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with ExitStack() as stack:
        if live := lock(stack, data, verb, show.say):
            raise AlreadyServed(
                f"{data} is served already, at {live.url} (process {live.pid}); "
                "stop that server, or name another directory with --data"
            )
        yield stack, stack.enter_context(_bound(host, port))


def run(
    data: Path, database_url: str, listening: socket.socket, *, zone: tzinfo, anchors: Sequence[str]
) -> None:
    """Serve a directory on a port, until the end."""
    with ExitStack() as stack:
        node = stack.enter_context(Node.open(data, database_url, zone=zone, anchors=anchors))
        if key := first_key(node):
            typer.echo(f"Your first API key, shown this once: {key}")
        node.questions.start()
        learners = stack.enter_context(Learners(data, database_url))
        stack.enter_context(Ticker(node))
        stack.enter_context(Policies(node))
        server = Announced(node, data, listening, learners)
        stack.callback(server.withdraw)
        server.run(sockets=[listening])


def begin(data: Path, database_url: str, snapshot: Path) -> None:
    """Begin the tables of a directory, and those of its read node, from a snapshot if there is one.

    `snapshot` may be a folder of them.
    """
    if not snapshot.is_dir():
        return
    with Workspace.open(data, database_url) as workspace:
        for folder in (current(data), data / "read_node"):
            begin_from(snapshot, folder, workspace.log)


class Announced(Server):
    """A server that tells local verbs where it is, for as long as it is there."""

    def __init__(
        self, node: Node, directory: Path, listening: socket.socket, learners: Learners
    ) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(node, host=host, port=port)
        self.config.timeout_graceful_shutdown = DRAIN_SECONDS_MAX
        self.directory, self.learners = directory, learners
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound
        self.live = Live(
            pid=os.getpid(),
            url=f"http://{f'[{reached}]' if ':' in reached else reached}:{port}",
            token=secrets.token_urlsafe(32),
            database_url=node.workspace.database_url,
        )
        self.app.state.local_token = self.live.token

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        await super().startup(sockets)
        if self.started:
            self.live.write(self.directory)
            typer.echo(f"Backstory serves {self.directory} at {self.live.url} (docs: /docs)")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See `uvicorn.Server`; the learners end while the last answers are given."""
        self.learners.stopping.set()
        super().handle_exit(sig, frame)

    def withdraw(self) -> None:
        """Take the announcement back."""
        (self.directory / "serve.json").unlink(missing_ok=True)


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything else is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise PortTaken(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port"
        ) from None
    return listening


def _end(number: int, _: FrameType | None) -> None:
    """Unwind what was started; the server hands the signal on after its last answer."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)
