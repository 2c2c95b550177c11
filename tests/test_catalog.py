"""The catalogue says all there is to say, and nothing that is not so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.catalog import declared
from cli.reference import pages
from domain import EVENTS
from domain.custom_fields import CustomFieldsDeclared, custom_fields_id
from projections.tables import Tables
from readmodels.catalog import Entry, NotInCatalog, catalog, queries
from readmodels.units import UNITS
from tests.doors import Client, a_node
from tests.examples import MOSES
from tests.random_log import arrow, unseal

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parent.parent / "docs/reference"
NUMBERS = re.compile(r"(U?BIGINT|HUGEINT|INTEGER|DOUBLE|DECIMAL)\b(?!.*\[\])")
CATALOG = declared()
ENTRIES = list(CATALOG.entries.values())
ENTRY = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    tables = Tables(tmp_path_factory.mktemp("catalog"), unseal())
    yield tables
    tables.close()


@ENTRY
def test_everything_is_described(entry: Entry):
    assert re.match(r"[A-Z].*[.)]$", entry.description, re.DOTALL), entry.description
    assert all(entry.parameters.values())
    assert all(column.description for column in entry.columns)
    assert entry.columns or entry.of or entry.kind in {"function", "event"}


@ENTRY
def test_a_number_has_a_unit_and_money_its_currency(entry: Entry):
    units = {unit.name for unit in UNITS}
    names = {column.name for column in entry.columns}
    for column in entry.columns:
        assert bool(column.unit) == bool(NUMBERS.match(column.type)), column.name
        assert column.unit in units | {""}
        assert (column.currency in names) if column.unit == "money" else not column.currency


@ENTRY
def test_every_column_is_fed_by_events_that_there_are(entry: Entry):
    known = {*EVENTS, "*"}
    for column in entry.columns:
        assert column.lineage.events, column.name
        assert set(column.lineage.events) <= known
        for source in column.lineage.columns:
            assert CATALOG.find(source).name
        for field in column.lineage.fields:
            event, _, value = field.partition(": ")
            named = re.fullmatch(r"[a-z_]+", value)
            assert event in column.lineage.events
            assert not named or value in EVENTS[event].model_fields


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_feeds_something(event: str):
    entry = CATALOG.find(event)
    assert isinstance(entry, Entry)
    assert all(CATALOG.find(name) for name in entry.feeds)
    moves_nothing = {"ticket.noted.v1"}
    assert entry.feeds or event in moves_nothing


def asked(entry: Entry) -> str:
    """What selects from it."""
    given = ", ".join("NULL" for name in entry.parameters if name in ("customer", "contact"))
    return f"{entry.name}({given})" if entry.parameters else entry.name


@ENTRY
def test_the_columns_are_those_of_the_database(entry: Entry, tables: Tables):
    if not entry.columns:
        return
    found = tables.database.query(f"DESCRIBE FROM {asked(entry)}", personal=True)
    described = dict(zip(found["column_name"], found["column_type"], strict=True))
    told = {column.name: column.type for column in entry.columns}
    assert list(told) == list(described)
    for name, kind in told.items():
        zoned = described[name].replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
        assert zoned == kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") or "STRUCT" in kind


def test_what_a_column_of_a_report_comes_from():
    def sources(name: str) -> tuple[str, ...]:
        return CATALOG.find(name).lineage.columns

    assert sources("win_loss.win_rate") == ("closed_deals.outcome",)
    assert sources("closed_deals.cycle_days") == ("deal.closed_at", "deal.opened_at")
    assert sources("deal_pipeline.expected") == ("deal.amount", "deal.probability")
    assert sources("lead_sources.captured") == ("lead_journey",)
    assert sources("ticket_times.first_response_at") == ("ticket_reply.occurred_at",)
    assert sources("deal_forecast.month") == (
        "deal.closed_at", "deal.expected_close", "deal.status",
    )  # fmt: skip


def test_lineage_goes_through_the_record_to_whoever_changed_it():
    owner = CATALOG.find("deal_closed.deal_owner").lineage
    assert "deal.won.v1: deal.owner" in owner.fields
    assert "deal.assigned.v1" in owner.events
    assert "deal.assigned.v1" in CATALOG.find("win_loss.owner").lineage.events


def test_every_report_is_in_the_catalogue():
    assert {entry.name for entry in ENTRIES if entry.kind == "report"} == set(queries())


def test_what_is_not_there_is_said_with_what_comes_close():
    with pytest.raises(NotInCatalog, match="no 'win_los'; did you mean win_loss"):
        CATALOG.find("win_los")


def test_custom_fields_are_in_it_with_the_unit_they_were_declared_with(tmp_path: Path):
    from tests.test_tables_events import recorded  # noqa: PLC0415

    fields = {"description": "How often.", "field_type": "integer", "name": "visits"}
    declaration = CustomFieldsDeclared(aggregate="lead", unit="visits", personal=False, **fields)
    tables = Tables(tmp_path, unseal())
    tables.apply(arrow([recorded(1, declaration, custom_fields_id("lead"))]))
    found = catalog(tables.database).find("lead.visits")
    tables.close()
    assert (found.description, found.unit, found.type) == ("How often.", "visits", "BIGINT")
    assert set(found.lineage.events) == {
        "lead.captured.v1",
        "lead.custom_fields_set.v1",
        "lead.retracted.v1",
    }


def test_any_tool_shows_what_tables_columns_and_macros_mean(tables: Tables):
    columns = tables.database.query(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND NOT internal AND database_name <> 'system'",
        personal=True,
    )
    assert columns["comment"].null_count() == 0
    told = {(table, column): comment for table, column, comment in columns.iter_rows()}
    amount = told["deal", "amount"]
    assert amount.startswith(
        "What it is worth, in the currency of the row. Unit: money in currency."
    )
    assert "deal.amount_changed.v1" in amount
    macros = tables.database.query(
        "SELECT function_name, comment FROM duckdb_functions() "
        "WHERE function_type LIKE '%macro' AND database_name NOT IN ('system', 'temp')",
        personal=True,
    )
    assert {name for name, comment in macros.iter_rows() if not comment} == set()
    views = tables.database.query(
        "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal", personal=True
    )
    assert views["comment"].null_count() == 0


def test_the_reference_is_current():
    expected = pages(CATALOG)
    assert {path.name for path in REFERENCE.iterdir()} == set(expected)
    for name, text in expected.items():
        assert (REFERENCE / name).read_text() == text, (
            f"{name} is not current: run `make reference`"
        )


@pytest.fixture(scope="module")
def client(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        a_node(postgres_url, tmp_path_factory.mktemp("node")) as node,
        Client(node, MOSES) as client,
    ):
        yield client


def test_the_catalogue_over_http(client: Client):
    document: dict[str, Any] = client.get("/catalog").json()
    assert {entry["name"] for entry in document["entries"]} == set(CATALOG.entries)
    assert document["metrics"] == CATALOG.document()["metrics"]
    assert client.get("/catalog/deal.amount").json()["unit"] == "money"
    assert client.get("/catalog/win_loss").json()["kind"] == "report"
    missing = client.get("/catalog/deals")
    assert missing.status_code == 404
    assert "did you mean deal" in missing.json()["detail"]
    assert client.get("/catalog", headers={"Authorization": ""}).status_code == 401
