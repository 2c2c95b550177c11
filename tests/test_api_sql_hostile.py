"""Whatever a question does, those who write and those who read elsewhere do not notice."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest

import api.questions
import api.sql
from commands.lead import CaptureLead
from readmodels import question
from tests.doors import a_node, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node

EVE, ANN = UUID(int=0xE), UUID(int=0xA)
SECONDS = 0.5
"""How long a question may take in these tests."""


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def address(node: Node) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, listening(node) as url:
        patch.setattr(api.sql, "SECONDS_MAX", SECONDS)
        yield url


@dataclass
class Watch:
    """Somebody who captures leads and looks at them all the while, and notes what was wrong."""

    client: httpx.Client
    written: int = 0
    faults: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopping.is_set():
            lead = CaptureLead.example | {"email": f"{uuid4().hex}@example.com"}
            position = self.ok(self.client.post("/leads", json=lead)).json()["position"]
            # Answered only once the tables have what was just written; 503 after two seconds.
            self.ok(self.client.get("/leads/board", params={"min_position": position}))
            health = self.ok(self.client.get("/health")).json()
            if health["status"] != "ok" or health["tables"]["behind_seconds"] > 2:
                self.faults.append(str(health))
            self.written += 1
            self.stopping.wait(0.05)

    def ok(self, reply: httpx.Response) -> httpx.Response:
        if not reply.is_success:
            self.faults.append(reply.text)
        return reply


@pytest.fixture(scope="module")
def key(node: Node) -> dict[str, str]:
    return {"Authorization": f"Bearer {node.api_keys.create(EVE, 'eve', personal=False)}"}


@pytest.fixture(scope="module")
def eve(address: str, key: dict[str, str]) -> Iterator[httpx.Client]:
    """Somebody with a key who means no good; the read node has just been started for her."""
    with httpx.Client(base_url=address, headers=key, timeout=30) as client:
        assert ask(client, "SELECT 1").is_success
        yield client


@contextmanager
def unharmed(node: Node, address: str) -> Iterator[Watch]:
    """Meanwhile commands are taken, tables follow in time, and the node is healthy."""
    headers = {"Authorization": f"Bearer {node.api_keys.create(ANN, 'ann')}"}
    with httpx.Client(base_url=address, headers=headers, timeout=10) as client:
        watch = Watch(client)
        thread = threading.Thread(target=watch.run)
        thread.start()
        try:
            yield watch
            before = watch.written
            deadline = time.monotonic() + 5
            while watch.written < before + 2 and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            watch.stopping.set()
            thread.join()
        assert watch.faults == []
        assert watch.written >= before + 2


def ask(client: httpx.Client, sql: str, **more: Any) -> httpx.Response:
    return client.post("/sql", json={"sql": sql}, **more)


def slug(reply: httpx.Response) -> str:
    assert reply.headers["Content-Type"] == "application/problem+json", reply.text
    return reply.json()["type"].removeprefix("urn:backstory:problem:")


def recovers(client: httpx.Client) -> None:
    """The next question is answered, if not at once then soon."""
    deadline = time.monotonic() + 15
    while not (reply := ask(client, "SELECT 42 AS n")).is_success:
        assert reply.status_code == 503, reply.text
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert reply.json()["items"] == [{"n": 42}]


REACHING_OUT = [
    "FROM read_csv('/etc/passwd')",
    "FROM read_text('/etc/passwd')",
    "FROM read_blob('/proc/self/environ')",
    "FROM '/etc/passwd'",
    "FROM 'http://127.0.0.1:1/x.parquet'",
    "FROM read_parquet('s3://bucket/x.parquet')",
    "FROM glob('/*')",
    "FROM sniff_csv('/etc/passwd')",
    "FROM read_duckdb('x.duckdb')",
    "FROM parquet_metadata('x.parquet')",
    "COPY lead TO '/tmp/leads.csv'",
    "COPY (SELECT 1) TO '/tmp/one.csv'",
    "COPY lead FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/all'",
    "IMPORT DATABASE '/tmp/all'",
    "ATTACH '/tmp/other.duckdb'",
    "ATTACH ':memory:' AS mine",
    "DETACH personal",
    "USE personal",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '/tmp/evil.so'",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "PRAGMA memory_limit='100GB'",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET VARIABLE known_at = 0",
    "RESET memory_limit",
    "CALL pragma_version()",
    "CALL enable_logging()",
    "FROM enable_logging()",
    "FROM checkpoint()",
    "FROM force_checkpoint()",
    "FROM duckdb_secrets()",
    "FROM duckdb_settings()",
    "FROM duckdb_logs()",
    "FROM duckdb_temporary_files()",
    "FROM duckdb_prepared_statements()",
    "FROM pragma_storage_info('lead_current')",
    "FROM query('FROM personal.stored.lead_personal_current')",
    "FROM query_table('personal.stored.lead_personal_current')",
    "FROM python_scan('x')",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE MACRO evil() AS 1",
    "CREATE SECRET s (TYPE s3)",
    "DELETE FROM stored.event",
    "SELECT 1; DROP VIEW lead",
    "BEGIN",
    "EXPLAIN ANALYZE SELECT 1",
    "",
    ";",
    "SELECT " + "(" * 50_000,
    "SELECT " + "1+" * 20_000 + "1",
    "SELECT '\x00'",
]


def test_what_reaches_beyond_the_tables_is_refused(node: Node, address: str, eve: httpx.Client):
    with unharmed(node, address):
        for sql in REACHING_OUT:
            reply = ask(eve, sql)
            assert reply.status_code == 422, (sql, reply.text)
            assert slug(reply) in {"sql-refused", "invalid", "body-unstorable"}, sql
            assert "root:" not in reply.text


ENDLESS = [
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    "SELECT sum(a.range * b.range) FROM range(10_000_000) a, range(10_000_000) b",
    "SELECT count(*) FROM event a, event b, event c, event d, event e, event f, range(1_000_000)",
    "SELECT max(md5(range::VARCHAR)) FROM range(1_000_000_000_000)",
    r"SELECT count(*) FROM range(1_000_000_000) WHERE regexp_matches(range::VARCHAR, '(a|b)*e$')",
]


def test_what_does_not_end_is_ended(node: Node, address: str, eve: httpx.Client):
    with unharmed(node, address):
        for sql in ENDLESS:
            began = time.monotonic()
            reply = ask(eve, sql)
            assert (reply.status_code, slug(reply)) == (422, "sql-too-long"), (sql, reply.text)
            assert time.monotonic() - began < SECONDS + question.GRACE_SECONDS + 3
        recovers(eve)


TOO_MUCH = [
    "SELECT length(repeat('x', 1_000_000_000) || range) FROM range(1_000)",
    "SELECT repeat('x', 4_000_000_000)",
    "SELECT list(a.range) FROM range(100_000) a, range(100_000) b",
    "SELECT list_transform(range(1_000_000_000), lambda x: x * 2)",
    "SELECT string_agg(repeat('x', 100_000), ',') FROM range(10_000_000)",
    "SELECT [[repeat('x', 1_000_000) FOR y IN range(10_000)] FOR x IN range(10_000)]",
]


def test_what_needs_too_much_memory_is_refused(node: Node, address: str, eve: httpx.Client):
    with unharmed(node, address):
        for sql in TOO_MUCH:
            reply = ask(eve, sql)
            assert not reply.is_success, sql
            assert slug(reply) in {"sql-too-large", "sql-too-long", "read-node-away"}, reply.text
            recovers(eve)


def test_what_cannot_be_interrupted_ends_with_its_process(
    node: Node, address: str, eve: httpx.Client
):
    """One call of a function, which looks up only when it is done."""
    with unharmed(node, address):
        reply = ask(eve, "SELECT levenshtein(repeat('a', 300_000), repeat('b', 300_000))")
        assert (reply.status_code, slug(reply)) == (503, "read-node-away")
        assert reply.headers["Retry-After"] == "1"
        recovers(eve)


def test_who_asks_much_at_once_waits_and_others_do_not(
    node: Node, address: str, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(api.questions, "OF_ONE_WAITING_MAX", 6)

    async def flood() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=address, headers=key, timeout=60) as client:
            asked = [client.post("/sql", json={"sql": ENDLESS[1]}) for _ in range(10)]
            return await asyncio.gather(*asked)

    with unharmed(node, address) as watch, ThreadPoolExecutor(1) as threads:
        flooding = threads.submit(asyncio.run, flood())
        time.sleep(SECONDS)
        others = [ask(watch.client, "SELECT count(*) FROM lead") for _ in range(5)]
        assert [reply.status_code for reply in others] == [200] * 5
        replies = flooding.result()
    assert {slug(reply) for reply in replies} == {"sql-too-long", "too-many-questions"}
    assert sum(reply.status_code == 429 for reply in replies) == 4


def test_a_question_nobody_waits_for_is_withdrawn(
    node: Node, address: str, eve: httpx.Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(api.sql, "SECONDS_MAX", 25.0)
    with unharmed(node, address):
        for _ in range(4):
            with pytest.raises(httpx.ReadTimeout):
                ask(eve, ENDLESS[1], timeout=0.3)
        began = time.monotonic()
        recovers(eve)
        assert time.monotonic() - began < 10


def test_a_reader_who_stops_reading_keeps_nothing_up(
    node: Node, address: str, eve: httpx.Client, key: dict[str, str]
):
    """A large answer waits in its place, not in memory, and goes when the reader goes."""
    endless = {"sql": "SELECT range, repeat('x', 1000) AS text FROM range(1_000_000_000)"}
    csv = key | {"Accept": "text/csv"}
    with unharmed(node, address):
        with (
            httpx.Client(base_url=address, headers=csv, timeout=30) as client,
            client.stream("POST", "/sql", json=endless) as reply,
        ):
            assert reply.is_success
            assert next(reply.iter_raw())
            time.sleep(1)
            recovers(eve)
        recovers(eve)


def test_more_rows_than_there_may_be_are_never_taken_for_all(eve: httpx.Client):
    rows = "SELECT range FROM range(1_000_000)"
    with pytest.raises(httpx.RemoteProtocolError):
        ask(eve, rows, params={"limit": 100_000}, headers={"Accept": "text/csv"})
    assert ask(eve, rows, params={"limit": 10}).json()["complete"] is False
