"""The tables in PostgreSQL, as BI tools find them there."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from cli import main
from eventstore.workspace import Workspace
from projections.catch_up import catch_up
from projections.tables import Tables
from replay.publication import publish
from replay.reporting import Reporting, SchemaTaken
from tests.databases import empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def tables(
    first_weeks: Workspace, tmp_path_factory: pytest.TempPathFactory, postgres_url: str
) -> Iterator[tuple[Tables, str]]:
    """Tables that were published in steps, one of which was cut off in its midst."""
    with (
        empty_database(postgres_url) as url,
        closing(Tables(tmp_path_factory.mktemp("tables"))) as tables,
        closing(Reporting(url, "reporting")) as target,
    ):
        take, last = target._take, first_weeks.log.last_position()
        for number in (1, 2, 3):
            list(catch_up(tables, first_weeks.log.read_arrow, last * number // 3))
            tables.settle(fully=True)
            if number > 1:

                def cut(change, edition):
                    take(change, edition)
                    if change.part == "lead_current":
                        raise ConnectionError("cut")

                with pytest.MonkeyPatch.context() as patch, pytest.raises(ConnectionError):
                    patch.setattr(target, "_take", cut)
                    publish(tables, target)
            publish(tables, target)
        yield tables, url


def test_every_view_has_the_rows_of_its_table(tables: tuple[Tables, str]):
    ours, url = tables
    with psycopg.connect(url) as connection:
        for table in ours.database.shown(ours.database.catalog):
            forms = ("", "_history") if table.kind == "dimension" else ("",)
            for name in (f"{table.name}{form}" for form in forms):
                columns = [c.name for c in table.stored if not c.digest_of and c.type != "JSON"]
                chosen = ", ".join(f'"{column}"' for column in columns)
                here = ours.database.connection()
                expected = here.execute(f'SELECT {chosen} FROM "{name}"').fetchall()
                sql = f'SELECT {chosen} FROM reporting."{name}"'
                found = connection.execute(sql).fetchall()
                assert len(found) == len(expected), name
                assert {str(row) for row in map(plain, found)} == {
                    str(row) for row in map(plain, expected)
                }, name


def plain(row: tuple) -> list:
    return [c.astimezone(UTC).isoformat() if isinstance(c, datetime) else c for c in row]


def test_sqlalchemy_reflects_the_tables_with_their_comments(tables: tuple[Tables, str]):
    ours, url = tables
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        found = sa.inspect(engine)
        assert {"deal", "deal_history", "stage_change"} <= set(found.get_view_names("reporting"))
        columns = {c["name"]: c for c in found.get_columns("deal", schema="reporting")}
        assert "Unit: money" in str(columns["amount"]["comment"])
        assert all(column["comment"] for column in columns.values())
        deal = sa.Table("deal", sa.MetaData(), schema="reporting", autoload_with=engine)
        question = sa.select(deal.c.stage, sa.func.sum(deal.c.amount)).group_by(deal.c.stage)
        with engine.connect() as connection:
            said = {tuple(row) for row in connection.execute(question)}
        assert said == set(
            ours.database.query("SELECT stage, sum(amount) FROM deal GROUP BY stage").rows()
        )
    finally:
        engine.dispose()


def test_who_may_read_the_views_sees_no_stored_rows(tables: tuple[Tables, str]):
    _, url = tables
    with psycopg.connect(url) as connection:
        connection.execute("CREATE ROLE reporter_of_a_test")
        connection.execute("GRANT USAGE ON SCHEMA reporting TO reporter_of_a_test")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO reporter_of_a_test")
        connection.execute("SET ROLE reporter_of_a_test")
        assert connection.execute("SELECT count(*) FROM reporting.deal").fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(*) FROM reporting_stored.deal_current")
        connection.rollback()


def test_no_personal_column_is_published(tables: tuple[Tables, str]):
    _, url = tables
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_name LIKE '%personal%'"
        ).fetchall()
    assert found == []


def test_the_command_line_publishes_in_postgresql(
    first_weeks: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    url = first_weeks.database_url
    (tmp_path / "data").mkdir()
    key = (first_weeks.directory / "master.key").read_bytes()
    (tmp_path / "data" / "master.key").write_bytes(key)
    given = ["--data", str(tmp_path / "data"), "--database-url", url, "--once"]
    assert main(["publish", "postgresql", *given]) == 0
    assert f"position {first_weeks.log.last_position():,}" in capsys.readouterr().err
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM reporting.event").fetchone() == (True,)


def test_a_schema_of_somebody_else_is_left_alone(tables: tuple[Tables, str], postgres_url: str):
    ours, _ = tables
    with empty_database(postgres_url) as url, psycopg.connect(url, autocommit=True) as theirs:
        theirs.execute("CREATE SCHEMA books")
        theirs.execute("CREATE TABLE books.entry (amount int)")
        said = pytest.raises(SchemaTaken, match="the schema books is there")
        with closing(Reporting(url, "books")) as target, said:
            publish(ours, target)
        assert theirs.execute("SELECT count(*) FROM books.entry").fetchone() == (0,)
