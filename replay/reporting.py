"""The tables as PostgreSQL has them, for tools that speak to PostgreSQL and to nothing else.

Two schemas: `<schema>_stored` with the rows, `<schema>` with a view for each table (and
`<table>_history` with every version), with comments, for Superset, Metabase, Power BI and others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from readmodels.mergers import MERGER, references
from readmodels.schema import END, Table, quoted
from readmodels.views import RETRACTED, WHOLE
from replay.base import ReplayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from readmodels.schema import Column
    from replay.publication import Change, Edition

BATCH_ROWS = 16_384
TYPES = {
    "VARCHAR": "text",
    "JSON": "jsonb",
    "DOUBLE": "double precision",
    "UBIGINT": "numeric(20)",
}
"""Types that PostgreSQL calls otherwise."""


class SchemaTaken(ReplayError):
    """The schema holds something else; the message names it."""


class Reporting:
    """Schemas of a PostgreSQL database to publish in; they are made where there are none."""

    def __init__(self, url: str, schema: str) -> None:
        self.schema, self._stored = schema, f"{schema}_stored"
        self._connection = psycopg.connect(url)

    def position(self, declarations: str) -> int | None:
        """See `Target`."""
        with self._connection.transaction():
            [(there,)] = self._do("SELECT to_regclass({})", Literal(f'"{self._stored}".published'))
            if there is None:
                return None
            rows = self._do("SELECT declarations, position FROM {}", self._named("published"))
        return rows[0][1] if rows and rows[0][0] == declarations else None

    def write(self, edition: Edition) -> None:
        """See `Target`."""
        with self._connection.transaction():
            if edition.after is None:
                self._make(edition)
            moved = self._do(
                "UPDATE {} SET position = {} WHERE position = {} RETURNING position",
                self._named("published"),
                Literal(edition.position),
                Literal(edition.after or 0),
            )
            if not moved:
                raise psycopg.errors.SerializationFailure("somebody else publishes here too")
            for change in edition.changes:
                self._take(change, edition)

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def _do(self, statement: str, *names: Any) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(SQL(statement).format(*names))
        return cursor.fetchall() if cursor.description else []

    def _named(self, part: str) -> Identifier:
        return Identifier(self._stored, part)

    def _must_be_ours(self) -> None:
        """Nothing is dropped that was not made here."""
        rows = self._do(
            "SELECT nspname FROM pg_namespace WHERE nspname IN ({}, {}) "
            "AND to_regclass({}) IS NULL ORDER BY nspname",
            *map(Literal, (self.schema, self._stored, f'"{self._stored}".published')),
        )
        for (taken,) in rows:
            raise SchemaTaken(
                f"the schema {taken} is there and was not published by this: name another one"
            )

    def _make(self, edition: Edition) -> None:
        self._must_be_ours()
        for schema in (self.schema, self._stored):
            self._do("DROP SCHEMA IF EXISTS {} CASCADE", Identifier(schema))
            self._do("CREATE SCHEMA {}", Identifier(schema))
        self._do("CREATE TABLE {} (declarations text, position bigint)", self._named("published"))
        self._do(
            "INSERT INTO {} VALUES ({}, 0)",
            self._named("published"),
            Literal(edition.declarations),
        )
        for change in edition.changes:
            columns = SQL(", ").join(
                SQL("{} " + _type(c)).format(Identifier(c.name)) for c in change.columns
            )
            self._do("CREATE TABLE {} ({})", self._named(change.part), columns)
            if change.keys:
                keys = SQL(", ").join(map(Identifier, change.keys))
                self._do("ALTER TABLE {} ADD PRIMARY KEY ({})", self._named(change.part), keys)
        for table in edition.tables:
            for name, rows, ends in self._views(table):
                self._show(name, table, rows, ends)

    def _views(self, table: Table) -> Iterator[tuple[str, Composed, tuple[Column, ...]]]:
        """What readers see of a table: nothing retracted or merged, but for histories."""
        own = [c for c in table.stored if not c.digest_of]
        columns = SQL(", ").join(Identifier("stored", c.name) for c in own)
        followed = references(table) if table.name not in WHOLE else {}
        shown = SQL(", ").join(self._shown(column, followed) for column in own)
        if table.kind == "dimension":
            past, current = map(self._named, table.parts())
            rows = SQL("SELECT {} FROM {} AS stored WHERE true").format(shown, current)
            if any(f".{RETRACTED}." in type_ for type_ in table.events):
                condition = SQL(" AND stored.status IS DISTINCT FROM {}")
                rows += condition.format(Literal(RETRACTED))
            if any(column.name == "merged_into" for column in own):
                rows += SQL(" AND stored.merged_into IS NULL")
            if "id" in followed:
                entity = SQL(", ").join(map(Identifier, table.entity))
                rows = SQL(
                    "SELECT DISTINCT ON ({}) * FROM ({}) AS seen "
                    "ORDER BY {}, valid_from DESC, position DESC"
                ).format(entity, rows, entity)
            yield table.name, rows, ()
            open_ = SQL(", NULL::timestamptz AS valid_to, NULL::bigint AS position_to")
            versions = SQL("SELECT {}, valid_to, position_to FROM {} AS stored UNION ALL ").format(
                columns, past
            )
            every = SQL("SELECT {}{} FROM {} AS stored").format(columns, open_, current)
            yield f"{table.name}_history", versions + every, END
            return
        rows = SQL("SELECT {} FROM {} AS stored").format(shown, self._named(table.name))
        if table.kind == "fact" and table.name not in WHOLE:
            rows += SQL(
                " WHERE NOT EXISTS (SELECT 1 FROM {} AS retracted WHERE retracted.id = stored.id "
                "AND retracted.position > stored.position)"
            ).format(self._named("retraction"))
        yield table.name, rows, ()

    def _shown(self, column: Column, followed: Mapping[str, str]) -> Composed:
        """A column as readers see it: where it names a merged record, the survivor of that."""
        stored, name = Identifier("stored", column.name), Identifier(column.name)
        if column.name not in followed:
            return SQL("{}").format(stored)
        survivor = SQL(
            "coalesce((SELECT merger.merged_into FROM {} AS merger WHERE merger.id = {} "
            "AND merger.kind = {} ORDER BY merger.position DESC LIMIT 1), {})"
        ).format(self._named(MERGER), stored, Literal(followed[column.name]), stored)
        if column.name == "parent_id":
            survivor = SQL("nullif({}, stored.id)").format(survivor)
        return SQL("{} AS {}").format(survivor, name)

    def _show(self, name: str, table: Table, rows: Composed, ends: tuple[Column, ...]) -> None:
        view = Identifier(self.schema, name)
        told = f"Every version: {table.description}" if ends else table.description
        self._do("CREATE VIEW {} AS {}", view, rows)
        self._do("COMMENT ON VIEW {} IS {}", view, Literal(told))
        for column in (*table.stored, *ends):
            if not column.digest_of:
                place = Identifier(self.schema, name, column.name)
                self._do("COMMENT ON COLUMN {} IS {}", place, Literal(column.comment))

    def _take(self, change: Change, edition: Edition) -> None:
        part, names = self._named(change.part), [c.name for c in change.columns]
        texts = ", ".join(f"{quoted(name)}::VARCHAR AS {quoted(name)}" for name in names)
        sql = f"SELECT {texts} FROM ({change.rows})"  # noqa: S608 - our names
        for batch in edition.source.execute(sql).to_arrow_reader(BATCH_ROWS):
            rows = batch.to_pydict()
            with self._connection.cursor() as cursor:
                if change.keys and edition.after is not None:
                    types = {column.name: _type(column) for column in change.columns}
                    same = " AND ".join(
                        f"stored.{quoted(k)} = keys.{quoted(k)}::{types[k]}" for k in change.keys
                    )
                    keys = ", ".join(quoted(k) for k in change.keys)
                    given = ", ".join("%s::text[]" for _ in change.keys)
                    delete = (
                        f"DELETE FROM {{}} AS stored USING unnest({given}) AS keys({keys}) WHERE "  # noqa: S608
                    )
                    statement = SQL(delete + same).format(part)
                    cursor.execute(statement, [rows[k] for k in change.keys])
                columns = SQL(", ").join(map(Identifier, names))
                with cursor.copy(SQL("COPY {} ({}) FROM STDIN").format(part, columns)) as copy:
                    for row in zip(*rows.values(), strict=True):
                        copy.write_row(row)


def _type(column: Column) -> str:
    return TYPES.get(column.type, column.type.lower())
