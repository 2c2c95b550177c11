"""How a verb gets at a workspace, whether or not a server runs in its directory.

DIR/
├── lock           held by the one process that may open the files of DIR: a server, or a verb
├── serve.json     where a running server is; trusted only if that server holds the lock
├── postgres/      the embedded PostgreSQL, unless another one is given
├── master.key     the key of keys
└── *.duckdb       the tables, which DuckDB opens in one process only

The log needs no server: PostgreSQL lets in as many processes as there are. The tables are asked
of the server when one runs (`Session.tables`), and opened here when none does.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import structlog

from eventstore.postgres import EmbeddedPostgres
from eventstore.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECT_SECONDS = 10
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 1.0
"""How long to wait for the lock before saying so."""


class SessionError(Exception):
    """The workspace cannot be opened now; the message says why."""


class DatabaseUnreachable(SessionError):
    """The database that was named does not answer."""


class AlreadyServed(SessionError):
    """A server runs in this directory."""


@dataclass(frozen=True, slots=True)
class Live:
    """Where the server of a directory is, and what opens its door for local verbs."""

    pid: int
    url: str
    token: str
    database_url: str

    def write(self, directory: Path) -> None:
        """Tell local verbs, and nobody else."""
        draft = directory / f"serve.json.{self.pid}"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
        draft.replace(directory / "serve.json")

    @classmethod
    def read(cls, directory: Path) -> Live | None:
        """What the server wrote, if that server is the one that holds the lock."""
        try:
            found = cls(**json.loads((directory / "serve.json").read_text()))
            holder = json.loads((directory / "lock").read_text())
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return found if found.pid == holder["pid"] else None


class Lock:
    """The right to open the files of a directory, for one process at a time.

    The kernel gives it back when the process ends, however it ends.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "lock"
        self._file = self.path.open("a+")

    def take(self, verb: str) -> bool:
        """Whether it is ours now."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._file.truncate(0)
        self._file.write(json.dumps({"pid": os.getpid(), "verb": verb}))
        self._file.flush()
        return True

    def holder(self) -> str:
        """Who has it, as people say it."""
        try:
            found = json.loads(self.path.read_text())
            return f"`backstory {found['verb']}` (process {found['pid']})"
        except (ValueError, KeyError, TypeError):
            return "another process"

    def close(self) -> None:
        """Give it back."""
        self._file.close()


@dataclass(frozen=True)
class Session:
    """A workspace open for one verb; `live` when a server runs in its directory."""

    workspace: Workspace
    live: Live | None


@contextmanager
def session(
    directory: Path,
    database_url: str | None,
    verb: str,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Session]:
    """Open the workspace of a directory; what was started for it stops afterwards."""
    # What happens meanwhile is for people; standard output may be read by a program.
    # Looked up for each line: what stands for standard error now may be closed later.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    with ExitStack() as stack:
        live = lock(stack, directory, verb, say)
        if live:
            url = live.database_url
        else:
            url = reachable(database_url) if database_url else embedded(stack, directory)
        yield Session(stack.enter_context(Workspace.open(directory, url)), live)


def lock(stack: ExitStack, directory: Path, verb: str, say: Callable[[str], None]) -> Live | None:
    """Take the lock of a directory; or find the server that has it, and will keep it."""
    held = Lock(directory)
    stack.callback(held.close)
    patient_until = time.monotonic() + PATIENCE_SECONDS
    while not held.take(verb):
        if live := Live.read(directory):
            held.close()
            return live
        if time.monotonic() > patient_until:
            say(f"Waiting for {held.holder()}, which works in {directory} …")
            patient_until = float("inf")
        time.sleep(LOOK_SECONDS)
    (directory / "serve.json").unlink(missing_ok=True)
    return None


def embedded(stack: ExitStack, directory: Path) -> str:
    """The embedded PostgreSQL of a directory, running until the stack closes."""
    return stack.enter_context(EmbeddedPostgres(directory / "postgres")).url


def reachable(database_url: str) -> str:
    """The same URL, once a database answers there."""
    try:
        psycopg.connect(database_url, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.Error as error:
        raise DatabaseUnreachable(f"the database does not answer: {str(error).strip()}") from None
    return database_url
