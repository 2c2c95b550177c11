"""One DuckDB file: rows and bookmark, written in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from projections.fields import polars_type
from readmodels.bookmark import Bookmark
from readmodels.schema import Column, Table, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


class Store:
    """The stored tables of one file, on a connection of its own.

    What is written can be read here at once, and elsewhere after `commit`.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, catalog: str, tables: Sequence[Table]
    ) -> None:
        self._connection = connection
        self._schema = f"{quoted(catalog)}.stored"
        self._bookmark = Bookmark(connection, self._schema)
        self._columns = {name: columns for t in tables for name, columns in t.parts().items()}
        self._writing = False
        for part, columns in self._columns.items():
            defined = ", ".join(f"{quoted(c.name)} {c.type}" for c in columns)
            connection.execute(f"CREATE TABLE IF NOT EXISTS {self.named(part)} ({defined})")

    @property
    def position(self) -> int:
        """The position reached, as this connection sees it."""
        return self._bookmark.position

    def named(self, part: str) -> str:
        """The full name of a stored table."""
        return f"{self._schema}.{quoted(part)}"

    def schema(self, part: str) -> dict[str, pl.DataType]:
        """The columns of a stored table as Polars has them."""
        return {column.name: polars_type(column.type) for column in self._columns[part]}

    def read(self, part: str, clauses: str) -> pl.DataFrame:
        """Rows of a stored table, which the clauses may call `stored`."""
        names = ", ".join(f"stored.{quoted(name)}" for name in self.schema(part))
        sql = f"SELECT {names} FROM {self.named(part)} AS stored {clauses}"
        rows = pl.DataFrame(self._connection.execute(sql).to_arrow_table())
        return rows.cast(dict(self.schema(part)))

    def find(self, part: str, keys: pl.DataFrame) -> pl.DataFrame:
        """Rows of a stored table by some of its columns."""
        types = {column.name: column.type for column in self._columns[part]}
        same = (f"stored.{quoted(k)} = keys.{quoted(k)}::{types[k]}" for k in keys.columns)
        self._connection.register("keys", keys.to_arrow())
        rows = self.read(part, f"SEMI JOIN keys ON {' AND '.join(same)}")
        self._connection.unregister("keys")
        return rows

    def append(self, part: str, rows: pl.DataFrame) -> None:
        """Add rows to a table."""
        if not rows.is_empty():
            names = ", ".join(quoted(column.name) for column in self._columns[part])
            self._write(f"INSERT INTO {self.named(part)} ({names}) SELECT {names} FROM rows", rows)

    def merge(self, part: str, entity: Sequence[str], rows: pl.DataFrame) -> None:
        """Put each row in the place of the one with the same entity; `rows` has one of each."""
        columns = self._columns[part]
        cast = ", ".join(f"{quoted(c.name)}::{c.type} AS {quoted(c.name)}" for c in columns)
        same = " AND ".join(f"old.{quoted(k)} = new.{quoted(k)}" for k in entity)
        sets = ", ".join(
            f"{quoted(c.name)} = new.{quoted(c.name)}" for c in columns if c.name not in entity
        )
        names = ", ".join(quoted(c.name) for c in columns)
        values = ", ".join(f"new.{quoted(c.name)}" for c in columns)
        self._write(
            f"MERGE INTO {self.named(part)} AS old USING (SELECT {cast} FROM rows) AS new "
            f"ON {same} WHEN MATCHED THEN UPDATE SET {sets} "
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})",
            rows,
        )

    def count(self, part: str) -> int:
        """How many rows a table has."""
        [(rows,)] = self._connection.execute(f"SELECT count(*) FROM {self.named(part)}").fetchall()
        return int(rows)

    def move(self, position: int) -> None:
        """Move the bookmark, in the transaction of the rows."""
        self._begin()
        self._bookmark.move(position)

    def commit(self) -> None:
        """Make what was written visible, all at once."""
        if self._writing:
            self._connection.commit()
            self._writing = False

    def roll_back(self) -> None:
        """Undo what was written since the last commit."""
        if self._writing:
            self._writing = False
            self._connection.rollback()

    def _write(self, sql: str, rows: pl.DataFrame) -> None:
        self._begin()
        self._connection.register("rows", rows.to_arrow())
        self._connection.execute(sql)
        self._connection.unregister("rows")

    def _begin(self) -> None:
        if not self._writing:
            self._connection.begin()
            self._writing = True


class Carried:
    """A stored table that has one row for each entity; rows wait in memory until `settle`.

    A batch of a rebuild changes what batches before it wrote: carried in memory, the rows are
    written once. Live, each batch is settled, and nothing is held.
    """

    def __init__(self, store: Store, part: str, entity: Sequence[str]) -> None:
        self._store, self._part, self._entity = store, part, list(entity)
        self.forget()

    def forget(self) -> None:
        """Drop what waits: after a transaction that was rolled back."""
        self._waiting = pl.DataFrame(schema=self._store.schema(self._part))
        self._stored = self._store.count(self._part) > 0

    def of(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The rows of the entities named; those that have none yet are left out."""
        found = self._waiting.join(keys, on=self._entity, how="semi")
        if not self._stored:
            return found
        missing = keys.join(found, on=self._entity, how="anti")
        if missing.is_empty():
            return found
        return pl.concat([found, self._store.find(self._part, missing)])

    def put(self, rows: pl.DataFrame) -> None:
        """Keep one row for each of these entities."""
        rows = rows.select(self._waiting.columns)
        others = self._waiting.join(rows, on=self._entity, how="anti")
        self._waiting = pl.concat([others, rows])

    def settle(self) -> None:
        """Write what waits."""
        if self._stored:
            self._store.merge(self._part, self._entity, self._waiting)
        else:
            self._store.append(self._part, self._waiting)
        self._stored = self._stored or not self._waiting.is_empty()
        self._waiting = self._waiting.clear()
