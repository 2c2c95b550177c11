"""The tables in DuckLake: catalogue in PostgreSQL, rows as Parquet on storage that many share.

One process writes; any number read, each with a DuckDB of its own, and none waits for another.
"""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import duckdb

from readmodels.base import CUSTOM_FIELDS
from readmodels.bookmark import Bookmark
from readmodels.macros import known
from readmodels.moments import MOMENT_OF, POSITION_AT
from readmodels.schema import quoted, text
from readmodels.views import CustomField, view_of
from replay.base import ReplayError
from replay.tables import tables_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection

    from replay.publication import Change, Edition

LAKE = "lake"
"""Its name in SQL."""

STORED = f"{LAKE}.stored"
OBJECTS = "s3://"
KEY_ID = "AWS_ACCESS_KEY_ID"
EXTENSIONS = ("postgres_scanner", "ducklake")
BATCH_ROWS = 16_384


class LakeMissing(ReplayError):
    """The extensions of DuckDB that a lake needs are not installed."""


class Lake:
    """A lake to publish in; it is made where there is none."""

    def __init__(self, catalog_url: str, schema: str, data: Path | str) -> None:
        """`data` is a folder, or an address in object storage: `s3://bucket/prefix`."""
        if not on_objects(data):
            Path(data).mkdir(parents=True, exist_ok=True)
        self._connection = _attached(catalog_url, schema, f", DATA_PATH {text(str(data))}")

    def position(self, declarations: str) -> int | None:
        """See `Target`."""
        if ("published",) not in self._tables():
            return None
        found = self._connection.execute(f"FROM {STORED}.published").fetchall()
        return Bookmark(self._connection, STORED).position if found == [(declarations,)] else None

    def write(self, edition: Edition) -> None:
        """See `Target`."""
        self._connection.begin()
        try:
            if edition.after is None:
                self._make(edition)
            for change in edition.changes:
                self._take(change, edition)
            self._show(edition)
            if edition.position:
                Bookmark(self._connection, STORED).move(edition.position)
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def _tables(self) -> list[tuple[str]]:
        return self._connection.execute(
            "SELECT table_name FROM duckdb_tables() "
            "WHERE database_name = ? AND schema_name = 'stored'",
            [LAKE],
        ).fetchall()

    def _make(self, edition: Edition) -> None:
        do = self._connection.execute
        do(f"CREATE SCHEMA IF NOT EXISTS {STORED}")
        for (name,) in self._tables():
            do(f"DROP TABLE {STORED}.{quoted(name)}")
        do(f"CREATE TABLE {STORED}.published (declarations VARCHAR)")
        do(f"INSERT INTO {STORED}.published VALUES (?)", [edition.declarations])  # noqa: S608
        for table in edition.tables:
            for part, columns in table.parts().items():
                name = f"{STORED}.{quoted(part)}"
                defined = ", ".join(f"{quoted(c.name)} {c.type}" for c in columns)
                do(f"CREATE TABLE {name} ({defined})")
                do(f"COMMENT ON TABLE {name} IS {text(table.description)}")
                for column in columns:
                    do(f"COMMENT ON COLUMN {name}.{quoted(column.name)} IS {text(column.comment)}")

    def _take(self, change: Change, edition: Edition) -> None:
        name = f"{STORED}.{quoted(change.part)}"
        found = edition.source.execute(change.rows).to_arrow_reader(BATCH_ROWS)
        rows = found.read_all() if change.keys and edition.after is not None else found
        self._connection.register("published_rows", rows)
        if rows is not found and len(rows):
            types = {column.name: column.type for column in change.columns}
            same = " AND ".join(
                f"stored.{quoted(k)} = rows.{quoted(k)}::{types[k]}" for k in change.keys
            )
            self._connection.execute(
                f"DELETE FROM {name} AS stored USING published_rows AS rows WHERE {same}"  # noqa: S608
            )
        names = ", ".join(quoted(column.name) for column in change.columns)
        self._connection.execute(f"INSERT INTO {name} SELECT {names} FROM published_rows")  # noqa: S608
        self._connection.unregister("published_rows")

    def _show(self, edition: Edition) -> None:
        """The views, for whoever comes without Backstory; again when a custom field is declared."""
        fields = next(c for c in edition.changes if c.part == "custom_field_current")
        if edition.after is not None and not edition.source.execute(fields.rows).fetchall():
            return
        for view in edition.views:
            for statement in replace(view, catalog=LAKE, log=LAKE).statements():
                if statement.startswith(("CREATE OR REPLACE VIEW", "COMMENT ON VIEW")):
                    self._connection.execute(statement)


def open_lake(catalog_url: str, schema: str) -> DuckDBPyConnection:
    """A connection that reads a lake: its tables, their past and every report, by their names.

    A transaction sees one position, whatever is published meanwhile.
    """
    connection = _attached(catalog_url, schema, ", READ_ONLY")
    tables, fields = tables_in("main"), _custom_fields(connection)
    here = "memory.main"
    statements = [MOMENT_OF.format(catalog="memory")]
    for table in tables:
        view = view_of(LAKE, table, fields, LAKE, retracted=True, merged=True)
        statements += [each.replace(f"{quoted(LAKE)}.main", here) for each in view.statements()]
    told = POSITION_AT.format(catalog=LAKE).replace(f"{LAKE}.main", here)
    statements += [told, *known({table.name for table in tables}).values()]
    for statement in statements:
        connection.execute(statement)
    return connection


def _custom_fields(connection: DuckDBPyConnection) -> list[CustomField]:
    rows = connection.execute(CUSTOM_FIELDS.format(stored=STORED)).fetchall()
    return [CustomField(*row) for row in rows]


def on_objects(data: Path | str) -> bool:
    """Whether this is an address in object storage, and no folder."""
    return str(data).startswith(OBJECTS)


def _attached(catalog_url: str, schema: str, options: str) -> DuckDBPyConnection:
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    connection.execute("SET TimeZone = 'UTC'")
    for name in EXTENSIONS:
        connection.execute(f"LOAD {text(str(_extension(name)))}")
    if os.environ.get(KEY_ID):
        connection.execute(f"LOAD {text(str(_extension('httpfs')))}")
        connection.execute(_secret(os.environ))
    place = text(f"ducklake:postgres:{catalog_url}")
    connection.execute(f"ATTACH {place} AS {LAKE} (METADATA_SCHEMA {text(schema)}{options})")
    return connection


def _secret(said: Mapping[str, str]) -> str:
    """The keys to the object storage, from the variables that all its tools read."""
    endpoint = urlsplit(said.get("AWS_ENDPOINT_URL", ""))
    given = {
        "KEY_ID": said[KEY_ID],
        "SECRET": said.get("AWS_SECRET_ACCESS_KEY", ""),
        "SESSION_TOKEN": said.get("AWS_SESSION_TOKEN", ""),
        "REGION": said.get("AWS_REGION") or said.get("AWS_DEFAULT_REGION", ""),
        "ENDPOINT": endpoint.netloc,
        "URL_STYLE": "path" if endpoint.netloc else "",
        "USE_SSL": "false" if endpoint.scheme == "http" else "",
    }
    told = ", ".join(f"{name} {text(value)}" for name, value in given.items() if value)
    return f"CREATE SECRET storage (TYPE s3, {told})"


def _extension(name: str) -> Path:
    """The file of an extension of this DuckDB, from a wheel: nothing is fetched."""
    found = find_spec(f"duckdb_extension_{name}")
    if found is None or found.origin is None:
        raise LakeMissing("a lake needs the extra `lake`: pip install 'backstory[lake]'")
    path = Path(found.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return path / f"{name}.duckdb_extension"
