"""Lineage: which columns of which tables the columns of a report are computed from."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.lineage import Node, lineage

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMS = ("_at", "_history")
"""A table under another name: at a moment, or with all its versions."""

Schema = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of tables, each with the names of its columns."""


def sources(
    body: str, parameters: tuple[str, ...], tables: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """What each column of a macro comes from: columns (`deal.amount`), or else rows (`deal`).

    `body` is the SELECT of the macro as DuckDB writes it; `tables` are all that it may ask, other
    reports among them, with the names of their columns.
    """
    return dict(_sources(body, parameters, tuple(tables.items())))


@lru_cache(maxsize=200)
def _sources(
    body: str, parameters: tuple[str, ...], tables: Schema
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    asked = sqlglot.parse_one(body, dialect="duckdb")
    schema = {name: dict.fromkeys(columns, "VARCHAR") for name, columns in tables}
    rows = _named(asked, schema)
    for column in list(asked.find_all(exp.Column)):
        if column.name in parameters and not column.table:
            column.replace(exp.Null())
    nodes = lineage(None, asked, schema, dialect="duckdb", validate_qualify_columns=False)
    return tuple((name, _leaves(node) or rows) for name, node in nodes.items())


def _named(asked: exp.Expr, schema: Mapping[str, object]) -> tuple[str, ...]:
    """Name the tables that macros stand for; they are returned."""
    found = set()
    for table in list(asked.find_all(exp.Table)):
        name = table.this.name.lower() if table.this else ""
        for form in FORMS:
            if name not in schema and name.removesuffix(form) in schema:
                name = name.removesuffix(form)
        if name not in schema:
            continue
        found.add(name)
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.this.name))
        joins = table.args.get("joins")
        table.replace(exp.Table(this=exp.to_identifier(name), alias=alias, joins=joins))
    return tuple(sorted(found))


def _leaves(node: Node) -> tuple[str, ...]:
    """The columns of tables at the end of all ways from a column."""
    return tuple(
        sorted(
            {
                f"{leaf.expression.name}.{exp.to_column(leaf.name).name}"
                for leaf in node.walk()
                if not leaf.downstream and isinstance(leaf.expression, exp.Table)
            }
        )
    )
