"""One DuckDB file: rows and bookmark, written in one transaction."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl

from projections.fields import JSON, UUID_, polars_type, streamed
from projections.inlet import Inlet
from readmodels.bookmark import Bookmark
from readmodels.schema import Column, Table, quoted, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    import pyarrow as pa

FEW_KEYS = 100
HANDED_ROWS = 20_000
"""So many rows are handed to DuckDB at once, unless they are wanted before. To hand some over takes
two milliseconds, however few; a batch has rows for some fifty tables."""


class Store:
    """The stored tables of one file, on a connection of its own.

    What is written can be read here at once, and elsewhere after `commit`.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, catalog: str, tables: Sequence[Table]
    ) -> None:
        self._connection, self.catalog = connection, catalog
        self._schema = f"{quoted(catalog)}.stored"
        self._bookmark = Bookmark(connection, self._schema)
        self._columns = {name: columns for t in tables for name, columns in t.parts().items()}
        self._inlets: dict[str, Inlet] = {}
        self.writing = False
        self._waiting: dict[str, list[pl.DataFrame]] = {}
        self.leftovers = "leftovers" in tables_of(connection, catalog)
        """Whether the file may hold values that are not shown any more."""
        self.position = self._moved = self._bookmark.position
        connection.begin()
        for part, columns in self._columns.items():
            defined = ", ".join(f"{quoted(c.name)} {_stored_as(c.type)}" for c in columns)
            connection.execute(f"CREATE TABLE IF NOT EXISTS {self.named(part)} ({defined})")
        connection.commit()

    def declare(self, hashes: Mapping[str, str]) -> None:
        """Note of what declarations the rows will be, unless the file says so already."""
        if not declared_in(self._connection, self._schema):
            self._connection.execute(
                f"INSERT INTO {self._schema}.declared SELECT unnest(?), unnest(?)",
                [list(hashes), list(hashes.values())],
            )

    def take_over(self, part: str, rows: pa.RecordBatchReader) -> None:
        """Add the rows of the same table in another file; committed at once."""
        self._connection.register("taken", rows)
        names = ", ".join(quoted(column.name) for column in self._columns[part])
        self._connection.execute(
            f"INSERT INTO {self.named(part)} ({names}) SELECT {names} FROM taken"
        )
        self._connection.unregister("taken")

    def named(self, part: str) -> str:
        """The full name of a stored table."""
        return f"{self._schema}.{quoted(part)}"

    def schema(self, part: str) -> pl.Schema:
        """The columns of a stored table as Polars has them."""
        return pl.Schema({c.name: polars_type(c.type) for c in self._columns[part]})

    def read(self, part: str, clauses: str) -> pl.DataFrame:
        """Rows of a stored table, which the clauses may call `stored`."""
        self._hand_over(part)
        schema = self.schema(part)
        names = ", ".join(_read_as(column) for column in self._columns[part])
        sql = f"SELECT {names} FROM {self.named(part)} AS stored {clauses}"
        rows = pl.DataFrame(self._connection.execute(sql).to_arrow_table())
        return rows if rows.schema == schema else rows.cast(schema)

    def find(self, part: str, keys: pl.DataFrame) -> pl.DataFrame:
        """Rows of a stored table by some of its columns."""
        with self._chosen(part, keys) as (relation, condition):
            joined = f"SEMI JOIN {relation} ON" if relation else "WHERE"
            return self.read(part, f"{joined} {condition}")

    def append(self, part: str, rows: pl.DataFrame) -> None:
        """Add rows to a table."""
        if rows.is_empty():
            return
        self._begin()
        waiting = self._waiting.setdefault(part, [])
        waiting.append(rows[[column.name for column in self._columns[part]]])
        if sum(map(len, waiting)) >= HANDED_ROWS:
            self._hand_over(part)

    def _hand_over(self, part: str) -> None:
        """Let DuckDB have the rows that wait for it."""
        if waiting := self._waiting.pop(part, None):
            rows = waiting[0] if len(waiting) == 1 else pl.concat(waiting)
            (self._inlets.get(part) or self._inlet(part)).put(rows)

    def _inlet(self, part: str) -> Inlet:
        documents = {c.name for c in self._columns[part] if c.type == JSON.sql}
        inlet = self._inlets[part] = Inlet(
            self._connection, part, self.named(part), self.schema(part), documents
        )
        return inlet

    def delete(self, part: str, keys: pl.DataFrame) -> None:
        """Take rows out of a table, by some of its columns."""
        if keys.is_empty():
            return
        self._begin()
        self._hand_over(part)
        with self._chosen(part, keys) as (relation, condition):
            using = f"USING {relation} " if relation else ""
            self._connection.execute(
                f"DELETE FROM {self.named(part)} AS stored {using}WHERE {condition}"
            )

    def erase(self, parts: Sequence[tuple[str, Sequence[str]]], ids: Sequence[str]) -> None:
        """Let these columns of some records be NULL, and note it if any was not.

        The file may still hold the values in places that no question reaches.
        """
        self._begin()
        erased = 0
        for part, columns in parts:
            self._hand_over(part)
            names = [quoted(column) for column in columns]
            [(rows,)] = self._connection.execute(
                f"UPDATE {self.named(part)} SET {', '.join(f'{name} = NULL' for name in names)} "
                "WHERE id IN (SELECT unnest($1::UUID[])) "
                f"AND ({' OR '.join(f'{name} IS NOT NULL' for name in names)})",
                [list(ids)],
            ).fetchall()
            erased += rows
        if erased and not self.leftovers:
            self._connection.execute(f"CREATE TABLE {self._schema}.leftovers (note VARCHAR)")
            self.leftovers = True

    def count(self, part: str) -> int:
        """How many rows a table has."""
        self._hand_over(part)
        [(rows,)] = self._connection.execute(f"SELECT count(*) FROM {self.named(part)}").fetchall()
        return int(rows)

    def move(self, position: int) -> None:
        """Move the bookmark, in the transaction of the rows."""
        self._begin()
        self._bookmark.move(position)
        self._moved = position

    def commit(self) -> None:
        """Make what was written visible, all at once."""
        for part in list(self._waiting):
            self._hand_over(part)
        self._connection.commit()
        self.writing = False
        self.position = self._moved

    def roll_back(self) -> None:
        """Undo what was written since the last commit."""
        self._waiting = {}
        if self.writing:
            self.writing = False
            self._inlets = {}
            self._connection.rollback()

    @contextmanager
    def _chosen(self, part: str, keys: pl.DataFrame) -> Iterator[tuple[str, str]]:
        """A relation, if one is needed, and the condition that picks the rows with these keys."""
        types = {column.name: column.type for column in self._columns[part]}
        if keys.width == 1 and len(keys) <= FEW_KEYS:
            [name] = keys.columns
            values = ", ".join(f"{text(_as_text(key))}::{types[name]}" for key in keys[name])
            yield "", f"stored.{quoted(name)} IN ({values})"
            return
        same = (f"stored.{quoted(k)} = keys.{quoted(k)}::{types[k]}" for k in keys.columns)
        with self._relation("keys", keys) as relation:
            yield relation, " AND ".join(same)

    @contextmanager
    def _relation(self, name: str, rows: pl.DataFrame) -> Iterator[str]:
        """Rows as something to select from."""
        self._connection.register(name, streamed(rows))
        yield name
        self._connection.unregister(name)

    def close(self) -> None:
        """Give the connection back; what was not committed is undone."""
        self._connection.close()

    def _begin(self) -> None:
        if not self.writing:
            self._connection.begin()
            self.writing = True


def tables_of(connection: duckdb.DuckDBPyConnection, catalog: str) -> set[str]:
    """The names of all tables stored in a file."""
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'stored'",
        [catalog],
    )
    return {name for (name,) in found.fetchall()}


def declared_in(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, str]:
    """Of what declarations the rows of a file are, table by table."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {schema}.declared (name VARCHAR, hash VARCHAR)")
    return dict(connection.execute(f"SELECT name, hash FROM {schema}.declared").fetchall())


def _stored_as(type_: str) -> str:
    """A type as the file has it.

    DuckDB tries every way to compress a column before it chooses; for large documents that costs
    more than all the rest of an insert (5.2 microseconds a row of scores, 2.6 without), and in the
    end it chooses one that leaves them three times as large.
    """
    return f"{type_} USING COMPRESSION zstd" if type_ == JSON.sql else type_


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return str(UUID(bytes=value))
    return repr(value) if isinstance(value, float) else str(value)


def _read_as(column: Column) -> str:
    """A column of a stored table as Polars has it: ids as bytes."""
    name = f"stored.{quoted(column.name)}"
    return f"{name}::BLOB AS {quoted(column.name)}" if column.type == UUID_.sql else name
