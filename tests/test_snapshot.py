"""What is exported is one moment, whole, proved, and read by other tools."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import replay.parquet
import replay.snapshot
from cli import main
from eventstore.workspace import Workspace
from replay.base import Bounds
from replay.snapshot import Format, NoKeys, SnapshotExists, read_manifest, write_snapshot
from replay.tables import catch_up, open_tables
from tests.databases import empty_database

if TYPE_CHECKING:
    from pathlib import Path

    from projections.tables import Tables


@pytest.fixture(scope="module")
def written(
    first_weeks: Workspace, first_tables: Tables, tmp_path_factory: pytest.TempPathFactory
) -> dict[Format, Path]:
    """A snapshot of each format."""
    folder = tmp_path_factory.mktemp("snapshots")
    for how in Format:
        write_snapshot(first_tables, first_weeks, folder / how, how)
    return {how: folder / how for how in Format}


def digests(manifest: replay.snapshot.Manifest) -> dict[str, str]:
    return {name: table.digest for name, table in manifest.tables.items() if table.digest}


def built_until(first_weeks: Workspace, folder: Path, position: int) -> dict[str, str]:
    with closing(open_tables(first_weeks, folder)) as tables:
        catch_up(tables, first_weeks.log, position)
        return tables.digests()


@pytest.mark.parametrize("how", Format)
def test_an_export_says_what_it_is(
    first_weeks: Workspace, first_tables: Tables, written: dict[Format, Path], how: Format
):
    manifest = read_manifest(written[how])
    assert manifest.position == first_weeks.log.last_position()
    assert manifest.format is how
    assert not manifest.personal
    found = first_tables.digests()
    assert digests(manifest) == {n: d for n, d in found.items() if n in manifest.tables}
    assert "deal" in manifest.tables
    assert not any(table.personal for table in manifest.tables.values())
    amount = next(c for c in manifest.tables["deal"].columns if c.name == "amount")
    assert amount.unit == "money"
    for name, file in manifest.files.items():
        assert (written[how] / name).stat().st_size == file.bytes
    files = {str(p.relative_to(written[how])) for p in written[how].rglob("*") if p.is_file()}
    assert files == {*manifest.files, "manifest.json"}
    assert {path.name for path in written[how].parent.iterdir()} == {*Format}


def test_a_duckdb_file_has_tables_reports_comments_and_time_travel(
    first_tables: Tables, written: dict[Format, Path]
):
    with duckdb.connect(str(written[Format.duckdb] / "backstory.duckdb"), read_only=True) as file:
        file.execute("SET TimeZone = 'UTC'")

        def ask(sql: str) -> Any:
            return file.execute(sql).fetchall()

        for sql in (
            "SELECT * FROM deal ORDER BY id",
            "SELECT * FROM deal_at('2024-08-01') ORDER BY id",
            "SELECT * FROM deal_pipeline()",
            "SELECT count(*) FROM event",
        ):
            with first_tables.database.connection() as connection:
                assert ask(sql) == connection.execute(sql).fetchall()
        [(said,)] = ask("SELECT comment FROM duckdb_views() WHERE view_name = 'deal'")
        assert said.startswith("Deals")
        assert ask("SELECT count(*) FROM duckdb_columns() WHERE comment IS NULL "
                   "AND schema_name = 'main' AND table_name = 'deal'") == [(0,)]  # fmt: skip
        assert ask("SELECT view_name FROM duckdb_views() WHERE view_name LIKE '%_personal'") == []


READERS = {
    "duckdb": lambda folder: (
        duckdb.sql(f"FROM '{folder}/**/*.parquet'").to_arrow_table().to_pylist()
    ),
    "polars": lambda folder: pl.read_parquet(folder).to_dicts(),
    "pandas": lambda folder: pd.read_parquet(folder, engine="pyarrow").to_dict("records"),
}


@pytest.mark.parametrize("reader", READERS)
def test_parquet_is_read_by_other_tools(
    first_tables: Tables, written: dict[Format, Path], reader: str
):
    for name in ("deal", "deal_history", "stage_change", "event"):
        sql = f"SELECT id::VARCHAR AS id, position FROM {name} ORDER BY position, id"
        expected = first_tables.database.query(sql).to_dicts()
        rows = READERS[reader](written[Format.parquet] / name)
        found = [{"id": row["id"], "position": row["position"]} for row in rows]
        assert sorted(found, key=lambda row: (row["position"], row["id"])) == expected
    deals = READERS[reader](written[Format.parquet] / "deal")
    assert sum(deal["amount"] for deal in deals) == sum(
        first_tables.database.query("SELECT amount FROM deal")["amount"]
    )


def test_parquet_has_only_types_that_spark_reads(written: dict[Format, Path]):
    for path in written[Format.parquet].rglob("*.parquet"):
        schema = pq.read_schema(path)
        assert not [f for f in schema if "extension" in str(f.type) or "binary" in str(f.type)]
        logical = {
            str(pq.ParquetFile(path).schema.column(n).logical_type.type)
            for n in range(len(pq.ParquetFile(path).schema.names))
        }
        assert logical <= {"STRING", "TIMESTAMP", "INT", "DECIMAL", "NONE", "DATE"}
    field = pq.read_schema(written[Format.parquet] / "deal" / "part-0.parquet").field("amount")
    assert b"Unit: money" in field.metadata[b"comment"]


def test_spark_reads_the_parquet(first_tables: Tables, written: dict[Format, Path]):
    spark_sql = pytest.importorskip(
        "pyspark.sql", reason="Spark is large and needs Java: uv run --group spark pytest -k spark"
    )
    spark = spark_sql.SparkSession.builder.master("local[1]").getOrCreate()
    try:
        for folder in written[Format.parquet].iterdir():
            if folder.is_dir():
                rows = spark.read.parquet(str(folder)).collect()
                expected = first_tables.database.query(f"SELECT count(*) FROM {folder.name}").item()
                assert len(rows) == expected
        deals = spark.read.parquet(str(written[Format.parquet] / "deal"))
        assert sum(row.amount for row in deals.collect()) == sum(
            first_tables.database.query("SELECT amount FROM deal")["amount"]
        )
    finally:
        spark.stop()


def test_a_large_table_is_cut_by_year(
    first_weeks: Workspace, first_tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(replay.parquet, "LARGE_ROWS", 50)
    write_snapshot(first_tables, first_weeks, tmp_path / "cut", Format.parquet)
    events = tmp_path / "cut" / "event"
    assert {path.name for path in events.iterdir()} == {
        f"year={year}"
        for year in first_tables.database.query("SELECT DISTINCT year(occurred_at) FROM event")[
            :, 0
        ]
    }
    rows = first_tables.database.query("SELECT count(*) FROM event").item()
    assert duckdb.sql(f"FROM read_parquet('{events}/**/*.parquet', hive_partitioning := true)"
                      ).shape[0] == rows  # fmt: skip
    found = pl.read_parquet(events, hive_partitioning=True)
    assert len(found) == rows == len(pd.read_parquet(events))
    assert (found["year"] == found["occurred_at"].dt.year()).all()


def test_what_was_known_at_a_position_is_what_was_built_up_to_there(
    first_weeks: Workspace, first_tables: Tables, tmp_path: Path
):
    known_at = int(first_weeks.log.last_position() * 0.6)
    manifest = write_snapshot(
        first_tables,
        first_weeks,
        tmp_path / "past",
        Format.duckdb,
        Bounds(None, known_at),
        personal=True,
    )
    assert manifest.position <= known_at
    assert digests(manifest) == built_until(first_weeks, tmp_path / "built", known_at)


def test_an_export_as_of_a_time_shows_what_was_true_then(
    first_weeks: Workspace, first_tables: Tables, tmp_path: Path
):
    [(as_of,)] = first_tables.database.query(
        "SELECT occurred_at FROM event ORDER BY occurred_at OFFSET 130 LIMIT 1"
    ).rows()
    write_snapshot(first_tables, first_weeks, tmp_path / "then", Format.duckdb, Bounds(as_of, None))
    with duckdb.connect(str(tmp_path / "then" / "backstory.duckdb"), read_only=True) as file:
        for name in ("lead", "deal", "customer", "interaction", "event"):
            sql = f"SELECT position FROM {name}"
            then = first_tables.database.sql_as_of(sql, as_of=as_of)
            plain = "SELECT count(*), max(position) FROM " + name
            [(rows, last)] = file.execute(plain).fetchall()
            assert rows == len(then)
            assert last == (then["position"].max() if rows else None)


def test_personal_columns_are_there_only_when_asked_for(
    first_weeks: Workspace, first_tables: Tables, tmp_path: Path
):
    manifest = write_snapshot(
        first_tables, first_weeks, tmp_path / "all", Format.parquet, personal=True
    )
    assert manifest.tables["lead_personal"].personal
    found = pl.read_parquet(tmp_path / "all" / "lead_personal")
    assert found["email"].drop_nulls().len() > 10
    with (
        Workspace.open(first_weeks.directory, first_weeks.database_url, keys=False) as locked,
        closing(open_tables(locked, tmp_path / "locked")) as closed,
        pytest.raises(NoKeys),
    ):
        write_snapshot(closed, locked, tmp_path / "no", Format.duckdb, personal=True)
    assert not (tmp_path / "no").exists()


def test_a_snapshot_that_fails_leaves_nothing(
    first_weeks: Workspace, first_tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(replay.snapshot, "write_parquet", full)
    with pytest.raises(OSError, match="no space"):
        write_snapshot(first_tables, first_weeks, tmp_path / "half", Format.parquet)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(
    first_weeks: Workspace, first_tables: Tables, tmp_path: Path
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(SnapshotExists):
        write_snapshot(first_tables, first_weeks, tmp_path / "mine", Format.duckdb)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_the_command_line_exports_beside_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], postgres_url: str
):
    with empty_database(postgres_url) as url:
        out = str(tmp_path / "snap")
        given = ["--data", str(tmp_path / "data"), "--database-url", url]
        assert main(["export", "tables", "-o", out, "--json", *given]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["position"] == 0
        assert told["tables"] > 30
        assert main(["export", "tables", "-o", out, *given]) == 1
        assert "is there already" in capsys.readouterr().err
