from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from projections.tables import Tables
from readmodels.base import Database, PersonalNotHere
from readmodels.guard import NotAllowed
from readmodels.question import QueryTimeout
from tests.random_log import arrow, dice, random_log, unseal

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = random_log(seed=7, events=300, streams=25)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    tables = Tables(tmp_path_factory.mktemp("database"), unseal())
    tables.apply(arrow(LOG))
    yield tables.database
    tables.close()


FORBIDDEN = [
    "SELECT name FROM personal.lead_personal",
    "SELECT name FROM personal.main.lead_personal",
    "SELECT name FROM personal.stored.lead_personal_current",
    "FROM personal.lead_personal_at()",
    "FROM query('SELECT name FROM personal.lead_personal')",
    "FROM query_table('personal.stored.lead_personal_current')",
    "FROM query_table(['personal.stored.lead_personal_current'])",
    "SELECT max(name) FROM personal.stored.lead_personal_current",
    "SELECT count(*) FROM personal.stored.lead_personal_current",
    "SELECT 1 FROM lead WHERE false AND id IN (SELECT id FROM personal.lead_personal)",
    "SELECT (SELECT any_value(name) FROM personal.lead_personal)",
    "SELECT EXISTS (FROM personal.lead_personal WHERE name LIKE 'A%')",
    "WITH p AS (FROM personal.lead_personal) SELECT (SELECT count(*) FROM p) FROM lead",
    "WITH p AS MATERIALIZED (FROM personal.lead_personal) SELECT 1 FROM p",
    "FROM lead UNION ALL BY NAME FROM personal.lead_personal",
    "FROM lead JOIN personal.lead_personal USING (id)",
    "FROM lead ASOF JOIN personal.lead_personal USING (id, version)",
    "FROM lead, LATERAL (SELECT name FROM personal.lead_personal p WHERE p.id = lead.id)",
    "FROM lead POSITIONAL JOIN personal.lead_personal",
    "SUMMARIZE personal.lead_personal",
    "FROM pragma_storage_info('personal.stored.lead_personal_current')",
    "FROM storage_info('personal.stored.lead_personal_current')",
    "PIVOT personal.lead_personal ON name USING count(*)",
    "PIVOT lead ON status USING count(*)",
    "FROM read_csv('/etc/passwd')",
    "FROM read_text('/etc/passwd')",
    "FROM read_blob('/etc/passwd')",
    "FROM read_json('/etc/passwd')",
    "FROM read_parquet('/etc/passwd')",
    "FROM sniff_csv('/etc/passwd')",
    "FROM glob('/etc/*')",
    "FROM '/etc/passwd'",
    "FROM duckdb_secrets()",
    "FROM duckdb_settings()",
    "FROM duckdb_databases()",
    "FROM duckdb_logs()",
    "FROM duckdb_variables()",
    "FROM duckdb_temporary_files()",
    "FROM pragma_database_size()",
    "FROM json_execute_serialized_sql(json_serialize_sql('FROM personal.lead_personal'))",
    "FROM checkpoint()",
    "FROM force_checkpoint()",
    "FROM repeat_row('x', num_rows = 3)",
    "SELECT 1; SELECT 2",
    "",
    "-- nothing",
    "SET threads = 8",
    "SET search_path = 'personal.main'",
    "SET VARIABLE as_of = NULL",
    "RESET threads",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "ATTACH ':memory:' AS other",
    "DETACH personal",
    "USE personal",
    "INSTALL httpfs",
    "LOAD httpfs",
    "COPY lead TO '/tmp/lead.csv'",
    "COPY (SELECT 1) TO '/tmp/one.csv'",
    "EXPORT DATABASE '/tmp/all'",
    "CREATE TABLE mine AS FROM lead",
    "CREATE TEMP TABLE mine AS FROM lead",
    "CREATE VIEW mine AS FROM lead",
    "INSERT INTO stored.event FROM stored.event",
    "UPDATE stored.event SET version = 0",
    "DELETE FROM stored.event",
    "DROP VIEW lead",
    "ALTER TABLE stored.event ADD COLUMN x INTEGER",
    "MERGE INTO stored.event USING stored.event AS e ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE stored.event",
    "VACUUM",
    "CHECKPOINT",
    "BEGIN",
    "COMMIT",
    "EXPLAIN ANALYZE FROM lead",
    "EXPLAIN FROM lead",
    "PREPARE p AS FROM lead",
    "EXECUTE p",
    "(SELECT 1",
]


@pytest.fixture(scope="module")
def digests(database: Database) -> dict[str, str]:
    """What the tables hold before anybody tries anything."""
    return database.digests()


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_a_reader_looks_at_the_tables_and_does_nothing_else(
    database: Database, digests: dict[str, str], sql: str
):
    with pytest.raises((NotAllowed, duckdb.Error)):
        database.sql_as_of(sql)
    assert database.digests() == digests


ALLOWED = [
    "FROM lead",
    "SELECT count(*) AS leads, status FROM lead GROUP BY ALL ORDER BY ALL",
    "FROM lead_at(as_of := '2024-01-02')",
    "FROM lead_history LIMIT 3;",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) FROM r",
    "FROM lead ASOF JOIN deal ON lead.valid_from >= deal.valid_from",
    "SELECT unnest(range(3)), unnest(json_keys(custom)) FROM lead",
    "SELECT key, value FROM lead, json_each(lead.custom)",
    "PIVOT lead ON status IN ('open', 'qualified') USING count(*)",
    "SELECT id, row_number() OVER (ORDER BY id) FROM lead QUALIFY true",
    "FROM generate_series(1, 3)",
    "VALUES (1, 'a')",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "DESCRIBE lead",
    "SUMMARIZE lead",
    "FROM information_schema.columns WHERE table_name = 'lead'",
    "FROM duckdb_columns() WHERE table_name = 'lead_personal'",
    "FROM query('FROM lead')",
    "FROM event TABLESAMPLE 10 ROWS",
    "FROM stored.event",
    "SELECT position_at('2024-01-02')",
    "-- a remark\nSELECT 1 -- and another",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_reader_asks_what_he_likes(database: Database, sql: str):
    assert database.sql_as_of(sql).width > 0


def test_who_may_see_personal_columns_has_them_joined(database: Database):
    asked = "SELECT lead.status, p.name FROM lead JOIN lead_personal AS p USING (id)"
    assert database.sql_as_of(asked, personal=True)["name"].null_count() == 0
    with pytest.raises(duckdb.Error):
        database.sql_as_of(asked)


def test_without_keys_nobody_has_them(tmp_path: Any):
    tables = Tables(tmp_path)
    with pytest.raises(PersonalNotHere):
        tables.database.query("SELECT 1", personal=True)
    tables.close()


def test_a_statement_that_takes_too_long_is_ended(database: Database):
    forever = "SELECT sum(a.range * b.range) FROM range(10_000_000) a, range(10_000_000) b"
    with pytest.raises(QueryTimeout, match=r"no answer within 0\.2 seconds"):
        database.sql_as_of(forever, seconds=0.2)
    assert database.sql_as_of("SELECT 1 AS one").item() == 1


MOMENTS = [
    (None, None),
    (LOG[120].occurred_at, None),
    (None, LOG[150].position),
    (LOG[200].occurred_at, LOG[90].position),
    (LOG[90].recorded_at + timedelta(hours=1), LOG[200].position),
    (datetime(2020, 1, 1, tzinfo=UTC), None),
    (None, 0),
]


@pytest.mark.parametrize(("as_of", "known_at"), MOMENTS)
@pytest.mark.parametrize("table", ["lead", "deal", "contact_role", "stage_change", "event"])
def test_sql_as_of_a_moment_means_the_tables_of_that_moment(
    database: Database, table: str, as_of: datetime | None, known_at: int | None
):
    given = database.query(
        f"FROM {table}_at(as_of := $as_of, known_at := $known_at) ORDER BY ALL",
        {"as_of": as_of, "known_at": known_at},
    )
    for asked in (
        f"FROM {table} ORDER BY ALL",
        f"FROM {table}_at() ORDER BY ALL",
        f"FROM query('FROM {table}') ORDER BY ALL",
        f"WITH {table}s AS (FROM {table}) FROM {table}s ORDER BY ALL",
    ):
        assert database.sql_as_of(asked, as_of=as_of, known_at=known_at).equals(given)


def test_what_is_asked_for_goes_before_the_moment_of_the_question(database: Database):
    early, late = LOG[60].recorded_at, LOG[250].recorded_at
    asked = f"FROM lead_at(as_of := '{early.isoformat()}') ORDER BY ALL"
    assert database.sql_as_of(asked, as_of=late).equals(database.sql_as_of(asked))


def test_history_knows_nothing_of_what_came_later(database: Database):
    for place in (40, 130, 260):
        position = LOG[place].position
        told = database.sql_as_of("FROM lead_history", known_at=position)
        for column in ("position", "position_to"):
            assert told.filter(told[column] > position).is_empty()
        open_ones = told.filter(told["valid_to"].is_null())
        assert len(open_ones) == open_ones["id"].n_unique()


def test_a_time_stands_for_the_last_position_recorded_by_then(database: Database):
    asked = "SELECT max(position) FROM event"
    for place in (0, 77, 299):
        moment = LOG[place].recorded_at
        last = max(each.position for each in LOG if each.recorded_at <= moment)
        assert database.sql_as_of(asked, known_at=moment).item() == last
    assert database.sql_as_of(asked, known_at=LOG[0].recorded_at - timedelta(1)).item() is None


def test_answers_are_frames_whatever_their_types(database: Database):
    found = database.sql_as_of(
        "SELECT 1 AS a, 2 AS a, 3 AS a, sum(version) AS total, NULL AS nothing, "
        "max(recorded_at) - min(recorded_at) AS span, uuid() AS id, [1, 2] AS list, "
        "{'x': 1.5} AS struct, INTERVAL 2 MONTH AS months, current_date AS day FROM event"
    )
    row = found.to_dicts()[0]
    assert [row["a"], row["a_1"], row["a_2"]] == [1, 2, 3]
    assert row["total"] == sum(each.version for each in LOG)
    assert row["nothing"] is None
    assert row["span"] == LOG[-1].recorded_at - LOG[0].recorded_at
    assert row["months"] == timedelta(days=60)


def test_many_readers_see_whole_batches_while_the_tables_grow(tmp_path: Any):
    tables = Tables(tmp_path, unseal())
    stop, failures, seen = threading.Event(), [], set()
    asked = (
        "SELECT (SELECT max(position) FROM event), (SELECT max(position) FROM stream), "
        "(SELECT count(*) FROM lead_history) - (SELECT sum(version) FROM stream "
        "WHERE aggregate = 'lead')"
    )

    def read() -> None:
        while not stop.wait(0.01):  # or those who ask leave nothing to the one who writes
            last, of_streams, missing = tables.database.query(asked).row(0)
            seen.add(last)
            if last != of_streams or missing not in (None, 0):
                failures.append((last, of_streams, missing))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    chance, batch = dice(1), arrow(LOG)
    while len(batch):
        size = chance.randrange(1, 60)
        tables.apply(batch.slice(0, size))
        batch = batch.slice(size)
    stop.set()
    for reader in readers:
        reader.join()
    tables.close()
    assert failures == []
    assert len(seen) > 3
