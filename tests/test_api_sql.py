"""Anybody's SQL and whole tables: in every format, at any moment, a page or all of it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import duckdb
import httpx
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.sql import preferred
from commands.lead import CaptureLead
from readmodels.formats import Format
from tests.doors import Client, a_node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from api.node import Node

ANN, BOB = UUID(int=0xA), UUID(int=0xB)
LEADS = 25
CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
READ = {
    CSV: pl.read_csv,
    ARROW: lambda body: pl.read_ipc_stream(io.BytesIO(body)),
    PARQUET: lambda body: pl.read_parquet(io.BytesIO(body)),
}


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def ann(node: Node) -> Iterator[Client]:
    """Ann captured 25 leads, each a day after the one before."""
    began = datetime(2026, 1, 1, 12, tzinfo=UTC)
    with Client(node, ANN) as client:
        for number in range(LEADS):
            lead = CaptureLead.example | {
                "email": f"n{number}@example.com",
                "source": ("website", "referral")[number % 2],
                "company": f'Ex "{number}", Ltd – Ü',
            }
            at = (began + timedelta(days=number)).isoformat()
            assert client.post("/leads", lead, params={"occurred_at": at}).is_success
        yield client


@pytest.fixture(scope="module")
def bob(node: Node, ann: Client) -> Iterator[Client]:
    assert ann.get("/leads", params={"min_position": LEADS}).is_success
    with Client(node, BOB, personal=False) as client:
        yield client


def ask(client: Client, sql: str, parameters: Any = (), **more: Any) -> httpx.Response:
    params = {name: more.pop(name) for name in set(more) - {"headers"}}
    body = {"sql": sql, "parameters": parameters}
    return client.post("/sql", body, params={"min_position": LEADS} | params, **more)


def items(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200, reply.text
    return reply.json()["items"]


def problem(reply: httpx.Response) -> str:
    assert reply.headers["Content-Type"] == "application/problem+json"
    return reply.json()["type"].removeprefix("urn:backstory:problem:")


def test_a_question_is_answered_with_the_position_it_speaks_of(ann: Client):
    reply = ask(ann, "SELECT source, count(*) AS leads FROM lead GROUP BY ALL ORDER BY ALL")
    assert reply.json() == {
        "position": LEADS,
        "columns": [{"name": "source", "type": "VARCHAR"}, {"name": "leads", "type": "BIGINT"}],
        "items": [{"source": "referral", "leads": 12}, {"source": "website", "leads": 13}],
        "complete": True,
    }
    assert reply.headers["X-Position"] == str(LEADS)


def test_parameters_are_bound_by_name_or_in_order(ann: Client):
    named = ask(
        ann,
        "SELECT count(*) AS n FROM lead WHERE source = $source AND valid_from < $before",
        {"source": "website", "before": "2026-01-11"},
    )
    placed = ask(ann, "SELECT ?::INT + ? AS n, ? AS said", [3, 2, "'; DROP TABLE lead; --"])
    assert (items(named), items(placed)) == (
        [{"n": 5}],
        [{"n": 5, "said": "'; DROP TABLE lead; --"}],
    )
    wrong = ask(ann, "SELECT 1,\n  nothing FROM lead")
    assert "LINE 2:   nothing FROM lead\n          ^" in wrong.json()["detail"]
    missing = ask(ann, "SELECT $wanted", {"given": 1})
    assert (missing.status_code, problem(missing)) == (422, "sql-refused")


@pytest.mark.parametrize("kind", READ)
def test_every_format_says_the_same(ann: Client, kind: str):
    sql = "SELECT company, position, valid_from, custom, [1, 2] AS list FROM lead ORDER BY position"
    told, read = items(ask(ann, sql)), ask(ann, sql, headers={"Accept": kind})
    assert read.headers["Content-Type"].startswith(kind)
    assert read.headers["X-Position"] == str(LEADS)
    frame = READ[kind](read.content)
    for column in ("company", "position"):
        assert frame[column].to_list() == [row[column] for row in told]
    times = [str(when).replace(" ", "T")[:19] for when in frame["valid_from"].to_list()]
    assert times == [row["valid_from"][:19] for row in told]


def test_files_know_their_position(ann: Client):
    parquet = ask(ann, "FROM lead", headers={"Accept": PARQUET}).content
    arrow = ask(ann, "FROM lead", headers={"Accept": ARROW}).content
    for schema in (
        pq.read_schema(io.BytesIO(parquet)),
        pa.ipc.open_stream(arrow).schema,
    ):
        assert schema.metadata[b"position"] == str(LEADS).encode()


def test_other_tools_read_what_is_written(ann: Client, tmp_path: Path):
    for kind, name in ((CSV, "leads.csv"), (PARQUET, "leads.parquet")):
        (tmp_path / name).write_bytes(ask(ann, "FROM lead", headers={"Accept": kind}).content)
        rows = duckdb.sql(f"SELECT count(*), max(valid_from) FROM '{tmp_path / name}'").fetchall()
        assert rows[0][0] == LEADS
        assert rows[0][1].date().isoformat() == "2026-01-25"


def test_any_moment_may_be_asked_about(ann: Client):
    count = "SELECT count(*) AS n FROM lead"
    assert items(ask(ann, count, as_of="2026-01-10"))[0]["n"] == 10
    early = ask(ann, count, known_at=7)
    assert (items(early)[0]["n"], early.json()["position"]) == (7, 7)
    assert items(ask(ann, count, as_of="2026-01-10", known_at=7))[0]["n"] == 7
    assert items(ask(ann, count, known_at="2026-01-10"))[0]["n"] == 0


def test_everybody_asks_about_what_they_just_wrote(ann: Client):
    lead = CaptureLead.example | {"email": "late@example.com"}
    asked = {"sql": "SELECT max(position) AS p FROM event"}
    written: dict[str, Any] = {}
    for number in range(5):
        written = ann.post("/leads", lead | {"email": f"late{number}@example.com"}).json()
        reply = ann.post("/sql", asked, params={"min_position": written["position"]})
        assert items(reply)[0]["p"] >= written["position"]
        assert reply.json()["position"] >= written["position"]
    shown = ann.get("/leads", params={"min_position": written["position"]}).json()["position"]
    assert ann.post("/sql", asked).json()["position"] >= shown  # no door is behind another


def test_only_those_allowed_see_personal_columns(ann: Client, bob: Client):
    asked = "SELECT name FROM lead_personal"
    assert items(ask(ann, asked))[0]["name"] == CaptureLead.example["name"]
    refused = ask(bob, asked)
    assert (refused.status_code, problem(refused)) == (422, "sql-refused")
    around = ask(bob, "FROM query('SELECT name FROM personal.main.lead_personal')")
    assert problem(around) == "sql-refused"
    assert CaptureLead.example["name"] not in around.text
    assert problem(bob.get("/tables/lead_personal")) == "personal-not-shown"
    assert len(items(ask(bob, "FROM lead"))) >= LEADS


def test_json_says_when_there_is_more(ann: Client):
    part = ask(ann, "FROM range(50)", limit=20).json()
    assert (len(part["items"]), part["complete"]) == (20, False)
    whole = ask(ann, "FROM range(20)", limit=20).json()
    assert (len(whole["items"]), whole["complete"]) == (20, True)
    assert len(items(ask(ann, "FROM range(20_000)"))) == 10_000
    assert len(ask(ann, "FROM range(20_000)", headers={"Accept": CSV}).text.splitlines()) == 20_001


def test_values_are_exact_in_json(ann: Client):
    asked = (
        "SELECT 0.10::DECIMAL(18,2) AS money, 9223372036854775807 AS big, sum(1) AS total, "
        "NULL AS nothing, INTERVAL 90 MINUTE AS span, TIMESTAMPTZ '2026-01-01 12:00:00Z' AS t, "
        "[1, 2] AS list, {'a': DATE '2026-01-01'} AS parts, '{\"b\": 1}'::JSON AS json"
    )
    assert items(ask(ann, asked)) == [
        {
            "money": "0.10",
            "big": 9223372036854775807,
            "total": 1,
            "nothing": None,
            "span": 5400.0,
            "t": "2026-01-01T12:00:00Z",
            "list": [1, 2],
            "parts": {"a": "2026-01-01"},
            "json": {"b": 1},
        }
    ]
    beyond = ask(ann, "SELECT sum(9223372036854775807) AS s FROM range(9)")
    assert (problem(beyond), beyond.status_code) == ("sql-refused", 422)
    assert "cast the column" in beyond.json()["detail"]


@pytest.mark.parametrize("kind", [CSV, ARROW, PARQUET])
def test_an_answer_may_be_larger_than_memory_should_be(ann: Client, kind: str):
    asked = "SELECT range AS n, repeat('x', 50) || range AS text FROM range(300_000)"
    frame = READ[kind](ask(ann, asked, headers={"Accept": kind}).content)
    assert (len(frame), frame["n"].sum()) == (300_000, 300_000 * 299_999 // 2)


def test_the_format_most_wanted_is_given():
    assert preferred("*/*") is Format.json
    assert preferred("text/html, text/csv;q=0.5, application/json;q=0.1") is Format.csv
    assert preferred("application/json;q=0, text/csv;q=0.1") is Format.csv


def test_a_format_nobody_knows_is_refused(ann: Client):
    refused = ask(ann, "SELECT 1", headers={"Accept": "application/pdf"})
    assert (refused.status_code, problem(refused)) == (406, "format-unknown")
    assert "text/csv" in refused.json()["detail"]
    union = ask(ann, "SELECT union_value(k := 1) AS u", headers={"Accept": PARQUET})
    assert problem(union) == "sql-refused"


def test_without_a_key_there_is_no_answer(ann: Client):
    nobody = {"Authorization": ""}
    assert ann.post("/sql", {"sql": "SELECT 1"}, headers=nobody).status_code == 401
    assert ann.get("/tables/lead", headers=nobody).status_code == 401


def table(client: Client, name: str, **params: Any) -> list[dict[str, Any]]:
    """All pages of a table."""
    found, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {"min_position": LEADS}
        reply = client.get(f"/tables/{name}", params=params | more)
        found += items(reply)
        cursor = reply.json()["next"]
        further = reply.links.get("next", {}).get("url")
        assert (further and httpx.URL(further).params["cursor"]) == cursor
        if not cursor:
            return found


def test_a_table_is_read_page_by_page_as_it_was(ann: Client):
    first = ann.get("/tables/lead", params={"limit": 10, "min_position": LEADS}).json()
    assert ann.post("/leads", CaptureLead.example | {"email": "between@example.com"}).is_success
    second = ann.get("/tables/lead", params={"limit": 10, "cursor": first["next"]}).json()
    assert second["position"] == first["position"]
    positions = [row["position"] for row in first["items"] + second["items"]]
    assert positions == list(range(1, 21))
    assert len(table(ann, "lead_history", limit=7, known_at=LEADS)) == LEADS
    assert len(table(ann, "event", limit=6, known_at=LEADS)) == LEADS


@pytest.mark.parametrize(
    ("params", "positions"),
    [
        ({"source": "website", "limit": 3}, range(1, LEADS + 1, 2)),
        ({"position__gt": 20}, range(21, LEADS + 1)),
        ({"position__gte": 5, "position__lt": 8}, [5, 6, 7]),
        ({"position__in": "3,4,99"}, [3, 4]),
        ({"source__ne": "website"}, range(2, LEADS + 1, 2)),
        ({"owner__null": "false"}, []),
        ({"valid_from__lte": "2026-01-02T12:00:00Z"}, [1, 2]),
        ({"as_of": "2026-01-03"}, [1, 2, 3]),
        ({"id": "00000000-0000-0000-0000-000000000000"}, []),
    ],
)
def test_a_table_is_filtered_by_its_columns(ann: Client, params: dict, positions: Any):
    found = table(ann, "lead", columns="position,source", **({"known_at": LEADS} | params))
    assert [row["position"] for row in found] == list(positions)
    assert all(set(row) == {"position", "source"} for row in found)


@pytest.mark.parametrize("kind", READ)
def test_a_table_comes_whole_or_by_the_page_in_every_format(ann: Client, kind: str):
    known, accept = {"known_at": LEADS}, {"Accept": kind}
    whole = ann.get("/tables/lead", params=known, headers=accept)
    assert len(READ[kind](whole.content)) == LEADS
    page = ann.get("/tables/lead", params=known | {"limit": 20}, headers=accept)
    assert len(READ[kind](page.content)) == 20
    further = page.links["next"]["url"]
    assert len(READ[kind](ann.get(further, headers=accept).content)) == LEADS - 20


@pytest.mark.parametrize(
    ("path", "params", "slug"),
    [
        ("nothing", {}, "not-found"),
        ("lead", {"columns": "name"}, "parameter-invalid"),
        ("lead", {"nothing": "1"}, "parameter-invalid"),
        ("lead", {'position"--': "1"}, "parameter-invalid"),
        ("lead", {"position__like": "1"}, "parameter-invalid"),
        ("lead", {"position": "one"}, "sql-refused"),
        ("lead", {"cursor": "AAAA"}, "cursor-invalid"),
        ("lead", {"as_of": "yesterday"}, "invalid"),
        ("Lead; DROP", {}, "invalid"),
    ],
)
def test_what_a_table_has_not_is_told(ann: Client, path: str, params: dict, slug: str):
    assert problem(ann.get(f"/tables/{path}", params=params)) == slug
