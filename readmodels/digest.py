"""Digests of tables: equal rows, equal digest, whatever the order and layout of the rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from readmodels.schema import END, Column, Table, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection


def digest(connection: DuckDBPyConnection, catalog: str, table: Table, *, values: bool) -> str:
    """What the rows of a table add up to: one changed cell, one row more or less shows.

    Each row is hashed, and the hashes are added, in two halves of 64 bits; so it needs no order
    and no memory. With `values` personal values count themselves, not what stands for them.
    """
    columns = _columns(table, values=values)
    found = connection.execute(
        f"SELECT count(*), coalesce(sum((h >> 64)::HUGEINT), 0), "
        f"coalesce(sum((h & 18446744073709551615::UHUGEINT)::HUGEINT), 0) "
        f"FROM (SELECT md5_number({_row(columns)}) AS h FROM ({_rows(catalog, table, columns)}))"
    ).fetchone()
    stated = [[column.name, column.type] for column in columns]
    return hashlib.sha256(repr((stated, found)).encode()).hexdigest()


def key_of(table: Table) -> tuple[str, ...]:
    """What tells one row of a table from another."""
    match table.kind:
        case "dimension":
            return (*table.entity, "version")
        case "fact":
            return ("position",)
        case _:
            return (table.columns[0].name,)


def _columns(table: Table, *, values: bool) -> tuple[Column, ...]:
    columns = table.stored if values else table.digested
    return (*columns, *END) if table.kind == "dimension" else columns


def _rows(catalog: str, table: Table, columns: Sequence[Column]) -> str:
    """All rows of all parts; what a part lacks is NULL."""
    return " UNION ALL ".join(
        "SELECT "
        + ", ".join(
            f"{'' if column in stored else 'NULL AS '}{quoted(column.name)}" for column in columns
        )
        + f" FROM {quoted(catalog)}.stored.{quoted(part)}"
        for part, stored in table.parts().items()
    )


def _row(columns: Sequence[Column]) -> str:
    """A row as text that no other row has: texts with their length before them, others as such."""
    return f"concat_ws(',', {', '.join(_cell(column) for column in columns)})"


def _cell(column: Column) -> str:
    name = quoted(column.name)
    match column.type:
        case "VARCHAR" | "JSON":
            return f"coalesce(strlen({name}) || ':' || {name}, '')"
        case "TIMESTAMPTZ":
            return f"coalesce(epoch_us({name})::VARCHAR, '')"
        case _:
            return f"coalesce({name}::VARCHAR, '')"
