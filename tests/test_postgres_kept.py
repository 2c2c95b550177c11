"""The embedded PostgreSQL is started again when it ends, and when it gets nowhere."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs

from api.node import Node
from eventstore import postgres_watch
from eventstore.postgres import EmbeddedPostgres
from tests.chaos.victims import children, first_process
from tests.doors import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

WAIT_SECONDS = 30
STUCK_SECONDS = 2


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="kept-") as path:
        yield Path(path)


@pytest.fixture
def server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPostgres]:
    """A server that is thought stuck soon."""
    monkeypatch.setattr(postgres_watch, "STUCK_SECONDS", STUCK_SECONDS)
    with EmbeddedPostgres(directory / "postgres") as started:
        yield started


def found(look: Callable[[], T]) -> T:
    """What `look` finds, once it is something."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            if something := look():
                return something
        except (OSError, IndexError, psycopg.Error):
            assert time.monotonic() < deadline
        assert time.monotonic() < deadline
        time.sleep(0.001)


def process(server: EmbeddedPostgres, name: str) -> int:
    """A process of the server by its name, as soon as there is one; 0: there is none."""
    for pid in children(first_process(server)):
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(f"postgres: {name}".encode()):
            return pid
    return 0


def write(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")


def kept(server: EmbeddedPostgres) -> int:
    """How many rows are there, once it answers."""

    def count() -> int:
        with psycopg.connect(server.url) as connection:
            return connection.execute("SELECT count(*) FROM kept").fetchone()[0]

    return found(count)


def recovers_by_itself(server: EmbeddedPostgres) -> None:
    """Let PostgreSQL go through crashes without ending, as it does unless told otherwise."""
    server.stop()
    with (server.cluster / "postgresql.conf").open("a") as file:
        file.write("restart_after_crash = on\n")
    server.start()


def make_stuck(server: EmbeddedPostgres) -> None:
    """Kill the process that recovers, in the middle: PostgreSQL 18.6 then waits for it for ever."""
    os.kill(process(server, "walwriter"), signal.SIGKILL)
    os.kill(found(lambda: process(server, "startup")), signal.SIGKILL)


@pytest.mark.parametrize("name", ["walwriter", "checkpointer", "io worker", "backstory"])
def test_whichever_process_is_killed_all_of_it_starts_again(server: EmbeddedPostgres, name: str):
    write(server)
    before = first_process(server)
    with capture_logs() as lines, closing(psycopg.connect(server.url)):
        os.kill(found(lambda: process(server, name)), signal.SIGKILL)
        found(lambda: lines)
    assert kept(server) == 1000
    assert first_process(server) != before
    assert [(line["event"], line["why"]) for line in lines] == [
        ("postgres was started again", "it ended with code 1")
    ]


def test_the_first_process_may_be_killed_again_and_again(server: EmbeddedPostgres):
    write(server)
    seen: set[int] = set()
    for _ in range(3):
        pid = found(lambda: first_process(server) if first_process(server) not in seen else 0)
        seen.add(pid)
        os.kill(pid, signal.SIGKILL)
    assert kept(server) == 1000


def test_one_killed_while_it_starts_is_started_again(server: EmbeddedPostgres):
    write(server)
    os.kill(first_process(server), signal.SIGKILL)
    os.kill(found(lambda: process(server, "startup")), signal.SIGKILL)
    assert kept(server) == 1000


def test_one_that_is_stuck_is_started_again_and_health_tells_meanwhile(
    server: EmbeddedPostgres, directory: Path
):
    recovers_by_itself(server)
    write(server)
    before = first_process(server)
    with (
        capture_logs() as lines,
        Node.open(directory / "node", server.url) as node,
        listening(node) as address,
        httpx.Client(base_url=address, timeout=60) as http,
    ):
        for pool in node.workspace.log.pools:
            pool.timeout = 1.0
        assert http.get("/health").status_code == 200
        make_stuck(server)
        with pytest.raises(psycopg.OperationalError, match="in recovery mode"):
            psycopg.connect(server.url)
        health = http.get("/health")
        assert (health.status_code, health.json()["error"]) == (503, "Unavailable")
        assert first_process(server) == before
        assert kept(server) == 1000
        found(lambda: http.get("/health").status_code == 200)
    assert first_process(server) != before
    assert [line["why"] for line in lines if line["event"] == "postgres was started again"] == [
        f"it neither served nor recovered for {STUCK_SECONDS} s"
    ]


def test_a_recovery_is_waited_for_however_long_it_takes(server: EmbeddedPostgres):
    write(server)
    os.kill(first_process(server), signal.SIGKILL)
    recovering = found(lambda: process(server, "startup"))
    os.kill(recovering, signal.SIGSTOP)
    before = first_process(server)
    time.sleep(3 * STUCK_SECONDS)
    assert (first_process(server), process(server, "startup")) == (before, recovering)
    os.kill(recovering, signal.SIGCONT)
    assert kept(server) == 1000
    assert first_process(server) == before


def test_it_is_told_why_it_cannot_be_started_again(server: EmbeddedPostgres):
    write(server)
    version = (server.cluster / "PG_VERSION").read_text()
    (server.cluster / "PG_VERSION").write_text("12\n")
    with capture_logs() as lines:
        os.kill(first_process(server), signal.SIGKILL)
        found(lambda: len(lines) >= 2)
    assert {(line["event"], line["log_level"]) for line in lines} == {
        ("postgres does not start", "error")
    }
    assert "initialized by PostgreSQL version 12" in lines[0]["reason"]
    (server.cluster / "PG_VERSION").write_text(version)
    assert kept(server) == 1000


def test_one_that_is_stopped_stays_so(server: EmbeddedPostgres):
    server.stop()
    time.sleep(1)
    assert not server.owned
    assert not (server.cluster / "postmaster.pid").exists()
