"""Tables as folders of Parquet files, of types that every reader of Parquet knows.

A table is `<name>/part-0.parquet`; a large one is cut by year: `<name>/year=2025/part-0.parquet`.
Ids and JSON are texts, for Spark has no UUID; what a column means stands in its metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from readmodels.formats import grouped
from readmodels.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from readmodels.base import Database
    from readmodels.schema import Table

LARGE_ROWS = 1_000_000
"""From so many rows on a table is cut by year."""

BATCH_ROWS = 16_384
AS_TEXT = {"UUID", "JSON"}
WHEN = ("valid_from", "occurred_at")
"""By which of its columns a table is cut, the first that it has."""

DESCRIBED = """
    SELECT column_name, data_type, comment FROM duckdb_columns()
    WHERE database_name = ? AND schema_name = 'main' AND table_name = ? ORDER BY column_index
"""


def write_parquet(database: Database, folder: Path) -> None:
    """Write all that readers see of a database; a folder each."""
    with database.connection() as connection:
        for catalog in database.catalogs:
            for table in database.shown(catalog):
                for name in _forms(table):
                    _write(connection, catalog, name, table.description, folder / name)


def _forms(table: Table) -> Iterator[str]:
    """A dimension is written twice: as it is, and with every version."""
    yield table.name
    if table.kind == "dimension":
        yield f"{table.name}_history"


def _write(
    connection: DuckDBPyConnection, catalog: str, name: str, told: str, folder: Path
) -> None:
    view = f"{quoted(catalog)}.main.{quoted(name)}"
    columns = connection.execute(DESCRIBED, [catalog, name]).fetchall()
    names = [column for column, *_ in columns]
    chosen = ", ".join(
        f"{quoted(c)}::VARCHAR AS {quoted(c)}" if kind in AS_TEXT else quoted(c)
        for c, kind, _ in columns
    )
    order = "ORDER BY position" if "position" in names else ""
    when = next((column for column in WHEN if column in names), None)
    comments = {column: comment or "" for column, _, comment in columns}
    [(rows,)] = connection.execute(f"SELECT count(*) FROM {view}").fetchall()  # noqa: S608 - ours
    if when is None or rows < LARGE_ROWS:
        _file(connection, f"SELECT {chosen} FROM {view} {order}", comments, told, folder)  # noqa: S608
        return
    years = connection.execute(f"SELECT DISTINCT year({when}) FROM {view} ORDER BY 1")  # noqa: S608
    for (year,) in years.fetchall():
        sql = f"SELECT {chosen} FROM {view} WHERE year({when}) = {year} {order}"  # noqa: S608
        _file(connection, sql, comments, told, folder / f"year={year}")


def _file(
    connection: DuckDBPyConnection, sql: str, comments: dict[str, str], told: str, folder: Path
) -> None:
    """The rows of a SELECT as a file, with what they mean."""
    reader = connection.execute(sql).to_arrow_reader(BATCH_ROWS)
    fields = [field.with_metadata({"comment": comments[field.name]}) for field in reader.schema]
    schema = pa.schema(fields, {"comment": told})
    folder.mkdir(parents=True)
    with pq.ParquetWriter(folder / "part-0.parquet", schema, compression="zstd") as writer:
        for group in grouped(reader):
            writer.write_table(group.cast(schema), row_group_size=len(group))
