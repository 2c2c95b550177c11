"""The embedded PostgreSQL comes up, goes down, and loses nothing on the way."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from eventstore import postgres_child, postgres_cluster
from eventstore.postgres import EmbeddedPostgres, PostgresNotStarted, with_database
from eventstore.postgres_child import NAMESPACE, NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = """
import json, signal, sys
from pathlib import Path
from eventstore.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1])).start()
print(json.dumps({"url": server.url, "owned": server.owned}), flush=True)
signal.pause()
"""

NOBODY_AND_NO_MORE = [  # but able to reach the interpreter, wherever root has put it
    *(sys.executable, "-I", "-S", postgres_child.__file__),
    *(str(os.getpid()), str(int(signal.SIGKILL)), f"{NOBODY}:{NOBODY}", "/"),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="backstory-pg-") as path:
        yield Path(path)


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another process that starts PostgreSQL."""
    started: list[tuple[subprocess.Popen[str], Path]] = []

    def start(directory: Path, *prefix: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-c", PROGRAM, str(directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append((process, directory))
        return process

    yield start
    for process, _ in started:
        process.kill()
        process.communicate()
    for _, directory in started:
        with (directory / "lock").open("a") as lock:  # PostgreSQL holds it until it has ended
            fcntl.flock(lock, fcntl.LOCK_EX)


def said_by(process: subprocess.Popen[str]) -> dict:
    return json.loads(process.stdout.readline() or f'"{process.communicate()}"')


def write(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")


def kept(server: EmbeddedPostgres) -> int:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


def pid_of(directory: Path) -> int:
    return int((directory / "cluster/postmaster.pid").read_text().split()[0])


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_commit_is_on_disk_and_times_are_utc(directory: Path):
    with EmbeddedPostgres(directory) as server, psycopg.connect(server.url) as connection:
        for setting, value in {
            "data_checksums": "on",
            "fsync": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "synchronous_commit": "on",
            "TimeZone": "UTC",
        }.items():
            assert connection.execute(f"SHOW {setting}").fetchone()[0] == value
        assert connection.info.dbname == "backstory"


def test_only_its_own_user_can_reach_it(directory: Path):
    with EmbeddedPostgres(directory) as server:
        socket = Path(conninfo_to_dict(server.url)["host"])
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700


def test_it_keeps_data_over_a_stop(directory: Path):
    server = EmbeddedPostgres(directory).start()
    write(server)
    pid = pid_of(directory)
    server.stop()
    assert ended(pid)
    assert server.url == ""
    with server:
        assert kept(server) == 1000


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_the_process_that_started_it(directory: Path, program, how: int):
    owner = program(directory)
    url = said_by(owner)["url"]
    pid = pid_of(directory)
    write(EmbeddedPostgres(directory).start())
    owner.send_signal(how)
    owner.wait()
    with EmbeddedPostgres(directory) as server:  # while the other may still be going down
        assert server.owned
        assert pid_of(directory) != pid
        assert server.url == url
        assert kept(server) == 1000
    wait_until(lambda: ended(pid))


def test_a_second_process_uses_the_server_that_runs(directory: Path, program):
    with EmbeddedPostgres(directory) as server:
        other = program(directory)
        assert said_by(other) == {"url": server.url, "owned": False}
        other.terminate()
        other.wait()
        write(server)
        second = EmbeddedPostgres(directory).start()
        second.stop()
        assert kept(server) == 1000


def test_of_two_that_start_at_once_one_owns_the_server(directory: Path, program):
    said = [said_by(process) for process in [program(directory), program(directory)]]
    assert said[0]["url"] == said[1]["url"]
    assert sorted(one["owned"] for one in said) == [False, True]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_first_start_that_is_interrupted_leaves_nothing_half_done(
    directory: Path, program, how: int
):
    starting = program(directory)
    wait_until((directory / "cluster.new" / "base").exists)
    starting.send_signal(how)
    starting.wait()
    assert not (directory / "cluster").exists()
    if how == signal.SIGINT:
        assert not (directory / "cluster.new").exists()
    with EmbeddedPostgres(directory) as server:
        write(server)
        assert kept(server) == 1000
    assert not (directory / "cluster.new").exists()


@pytest.mark.parametrize("state", ["another program", "not waited for"])
def test_a_pid_that_is_no_server_any_more_does_not_count(directory: Path, program, state: str):
    owner = program(directory)
    said_by(owner)
    write(EmbeddedPostgres(directory).start())
    pid = pid_of(directory)
    owner.send_signal(signal.SIGSTOP)  # or it would start it again
    os.kill(pid, signal.SIGKILL)
    owner.kill()
    owner.wait()
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    wait_until(lambda: ended(pid) and ended(zombie.pid))
    other = os.getpid() if state == "another program" else zombie.pid
    for left in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        path = directory / "cluster" / left
        path.write_text(path.read_text().replace(str(pid), str(other), 1))
    with EmbeddedPostgres(directory) as server:
        assert kept(server) == 1000
    zombie.wait()


@pytest.mark.parametrize("name", ['it\'s a "very", %20 odd one', "long" * 40])
def test_its_directory_may_have_any_name(directory: Path, name: str):
    server = EmbeddedPostgres(directory / name)
    with server:
        write(server)
        sockets = Path(conninfo_to_dict(server.url)["host"])
        assert EmbeddedPostgres(directory / name).start().url == server.url
    assert sockets == server.cluster or not sockets.exists()


def test_folders_above_are_left_as_they_are(directory: Path):
    directory.chmod(0o750)
    with EmbeddedPostgres(directory / "a" / "b"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o750


def test_it_is_started_from_the_main_thread(directory: Path):
    errors = []

    def start() -> None:
        with pytest.raises(PostgresNotStarted, match="main thread") as caught:
            EmbeddedPostgres(directory).start()
        errors.append(caught)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert errors


def test_what_postgres_complains_of_is_told(directory: Path):
    with EmbeddedPostgres(directory) as server:
        pass
    (server.cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(PostgresNotStarted, match="initialized by PostgreSQL version 12"):
        server.start()


def test_a_file_in_its_place_is_told(directory: Path):
    (directory / "file").touch()
    with pytest.raises(PostgresNotStarted, match="Choose another directory"):
        EmbeddedPostgres(directory / "file").start()


@as_root
def test_a_normal_user_can_start_it(directory: Path, program):
    os.chown(directory, NOBODY, NOBODY)
    process = program(directory, *NOBODY_AND_NO_MORE)
    assert said_by(process)["owned"]
    assert Path(f"/proc/{pid_of(directory)}").stat().st_uid == NOBODY
    with EmbeddedPostgres(directory) as server:  # root may join
        write(server)
    process.kill()
    process.wait()
    with EmbeddedPostgres(directory) as server:  # and start it, as that user
        assert kept(server) == 1000
        assert Path(f"/proc/{pid_of(directory)}").stat().st_uid == NOBODY
    assert said_by(program(directory, *NOBODY_AND_NO_MORE))["owned"]


@as_root
def test_the_directory_of_another_user_is_refused(directory: Path, program):
    directory.chmod(0o755)
    process = program(directory, *NOBODY_AND_NO_MORE)
    _, complaint = process.communicate()
    assert f"belongs to user 0, but this is user {NOBODY}" in complaint


@as_root
def test_root_without_user_namespaces_becomes_nobody(directory: Path, monkeypatch):
    with EmbeddedPostgres(directory / "data") as server:
        write(server)
    complaint = postgres_cluster._complaint
    monkeypatch.setattr(
        postgres_cluster,
        "_complaint",
        lambda account, where: "refused" if account == NAMESPACE else complaint(account, where),
    )
    with server:
        assert Path(f"/proc/{pid_of(directory / 'data')}").stat().st_uid == NOBODY
        assert kept(server) == 1000
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    monkeypatch.setattr(postgres_cluster, "_complaint", lambda *_: "refused")
    with pytest.raises(PostgresNotStarted, match="Start Backstory as a normal user"):
        EmbeddedPostgres(directory / "other").start()


def test_the_database_of_a_url_is_replaced():
    assert with_database("postgresql://u@/a?host=%2Fx&port=1", "b") == (
        "postgresql://u@/b?host=%2Fx&port=1"
    )
    assert with_database("postgresql://u:p@h:1/a", "b") == "postgresql://u:p@h:1/b"
