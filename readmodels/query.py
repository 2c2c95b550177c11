"""Questions that have a name: their SQL, their words, and a page of the answer at a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from domain.values import Day
from readmodels.base import PERSONAL, Database
from readmodels.macros import macros
from readmodels.schema import BEGIN, END, Table, quoted, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duckdb import DuckDBPyConnection

JSON_INTEGER_MAX = 2**63
FILTERS = ("status", "stage", "source", "kind", "tier", "learner", "aggregate")
"""Columns that lists of records can be narrowed by, beside all that name other records."""


ONE = """id = coalesce((
    SELECT arg_max_null(merged_into, position) FROM merger WHERE id = $id AND
      coalesce(effective_at <= getvariable('as_of')::TIMESTAMPTZ, true)), $id)"""
"""The record with an id, or the one it is merged into."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Query:
    """A question: SQL over tables and reports, which mean the moment that is asked about.

    `parameters` are what `$name` stands for in the SQL, with their types. `order` names columns
    that put the rows in one order, the last of them unique (`-column`: falling; NULL comes last);
    without it rows come as the SQL orders them. `of` is what there is none of, when no row is
    found, and `single` says that there is one at most. `personal` is the SQL for those who may
    see personal columns, `personal_columns` what these are called. `columns` says what the columns
    mean.
    """

    name: str
    description: str
    sql: str
    personal: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    of: str = ""
    single: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    personal_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """What is asked about: what had happened by `as_of`, as the log knew it at `position`."""

    as_of: datetime | None
    position: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, in order; `last` is where the next page begins, None after the last one."""

    items: list[dict[str, Any]]
    last: tuple[Any, ...] | None


def report(
    name: str,
    *keys: str,
    columns: Mapping[str, str] = _NOTHING,
    where: Mapping[str, Any] = _NOTHING,
    during: str = "",
    of: str = "",
    **parameters: Any,
) -> Query:
    """The question that a table macro answers, described by the comment above it.

    `keys` are the ids of records that it takes first of all, `parameters` what it may be given
    beside the moment. Its rows can be narrowed: by the columns in `where`, named with their types,
    and to a period of days by the column `during`, with the parameters `since` and `until`.
    """
    given = [f"${key}" for key in keys] + [f"{name} := ${name}" for name in parameters]
    conditions = [f"(${column} IS NULL OR {quoted(column)} = ${column})" for column in where]
    narrowing = {column: type_ | None for column, type_ in where.items()}
    if during:
        conditions.append(f"($since IS NULL OR {quoted(during)}::DATE >= $since)")
        conditions.append(f"($until IS NULL OR {quoted(during)}::DATE <= $until)")
        narrowing |= {"since": Day | None, "until": Day | None}
    asked = f"FROM {name}({', '.join(given)})"
    return Query(
        name,
        macros()[name].description,
        f"{asked} WHERE {' AND '.join(conditions)}" if conditions else asked,
        parameters=dict.fromkeys(keys, UUID) | parameters | narrowing,
        of=of,
        columns=columns,
    )


def position_at(database: Database, moment: datetime) -> int:
    """The position of the last event that was recorded by then, as far as the tables know."""
    with database.connection() as connection:
        found = connection.execute("SELECT position_at($1)", [moment]).fetchone()
    return int(found[0]) if found else 0


def records(plain: Table, personal: Table | None = None) -> tuple[Query, Query, Query]:
    """What is asked of every kind of record: which there are, one of them, and its history."""
    name, words = plain.name, plain.name.replace("_", " ")
    given = {
        column.name: UUID | None if column.type == "UUID" else str | None
        for column in plain.columns
        if column.type == "UUID" or column.name in FILTERS
    }
    where = " AND ".join(f"(${known} IS NULL OR {known} = ${known})" for known in given) or "true"

    columns, rows = _columns(plain, personal), partial(_rows, name, personal)
    means: dict[str, Any] = {"columns": columns, "personal_columns": _sealed(plain, personal)}
    one = means | {"parameters": {"id": UUID}, "of": words}
    return (
        Query(
            f"{name}_list",
            f"{plain.description} The last changed come first.",
            *rows(name, where),
            parameters=given,
            order=("-position",),
            **means,
        ),
        Query(
            name,
            f"One {words}, as it was at the moment.",
            *rows(name, ONE if "merged_into" in columns else "id = $id"),
            single=True,
            **one,
        ),
        Query(
            f"{name}_history",
            f"Every version of one {words} up to the moment, the first one first.",
            *rows(f"{name}_history", "id = $id"),
            order=("version",),
            **one,
        ),
    )


def changes(plain: Table, personal: Table | None = None) -> Query:
    """What came between two positions: versions of records as they began, or happenings."""
    name, columns = plain.name, _columns(plain, personal)
    condition = "position > $after AND position <= $until"
    sql, told = f"FROM {name} WHERE {condition}", ""
    if plain.kind == "dimension":
        begun = f"SELECT * EXCLUDE ({', '.join(column.name for column in END)})"
        rows = _rows(name, personal, f"{name}_history", condition)
        sql, told = (f"{begun} {found}" if found else "" for found in rows)
    return Query(
        f"{name}_changes",
        f"What came between two positions. {plain.description}",
        sql,
        told,
        parameters={"after": int, "until": int},
        columns=columns,
        personal_columns=_sealed(plain, personal) if told else (),
    )


def _columns(*tables: Table | None) -> dict[str, str]:
    found = (column for table in tables if table for column in table.columns)
    return {column.name: column.description for column in found if not column.digest_of}


def _sealed(plain: Table, personal: Table | None) -> tuple[str, ...]:
    """The personal columns that rows of a table are told with."""
    found = {c.name for c in personal.columns if not c.digest_of} if personal else set()
    return tuple(sorted(found - set(plain.key)))


def _rows(name: str, personal: Table | None, table: str, condition: str) -> tuple[str, str]:
    """The SQL for rows of a table, and for those who may see personal columns."""
    told = f"FROM ({_joined(name, table)}) WHERE {condition}" if personal else ""
    return f"FROM {table} WHERE {condition}", told


def _joined(name: str, table: str) -> str:
    """Rows with the personal columns beside the others: what those last were by each version."""
    known = [column.name for column in (*BEGIN, *END) if column.name != "version"]
    return (
        f"FROM {table} ASOF LEFT JOIN (SELECT * EXCLUDE (digest, {', '.join(known)}) "
        f"FROM {name}_personal{table.removeprefix(name)}) USING (id, version)"
    )


def members(table: str, column: str) -> Query:
    """The rows of a collection that belong to one record, the last changed first."""
    words = table.replace("_", " ")
    return Query(
        f"{table}s_of_one",
        f"Every {words} of one record, the last changed first.",
        f"FROM {table} WHERE {column} = $id",
        parameters={"id": UUID},
        order=("-position",),
    )


def page(
    database: Database,
    query: Query,
    moment: Moment,
    given: Mapping[str, Any],
    *,
    after: Sequence[Any] = (),
    limit: int,
    personal: bool = False,
) -> Page:
    """One page of an answer: at most `limit` rows that follow the row `after`."""
    sql = query.personal if personal and query.personal else query.sql
    condition, order, skip, values = "true", "", 0, dict(given)
    if query.order:
        order = ordering(query.order)
        if after:
            condition = beyond(query.order)
            values |= {f"after_{number}": value for number, value in enumerate(after)}
    elif after:
        skip = int(after[0])
    asked = f"SELECT * FROM ({sql}) WHERE {condition} {order} LIMIT {limit + 1} OFFSET {skip}"
    with database.connection() as connection:
        _turn(database, connection, moment, personal=sql == query.personal)
        answered = connection.execute(asked, values)
        columns = [(name, str(kind)) for name, kind, *_ in answered.description or ()]
        rows = answered.fetchall()
    items = [
        {name: shown(value, kind) for (name, kind), value in zip(columns, row, strict=True)}
        for row in rows[:limit]
    ]
    if len(rows) <= limit or not items:
        return Page(items, None)
    if not query.order:
        return Page(items, (skip + len(items),))
    return Page(items, tuple(_key(items[-1][name.removeprefix("-")]) for name in query.order))


def _turn(
    database: Database, connection: DuckDBPyConnection, moment: Moment, *, personal: bool
) -> None:
    """Let the names of tables and reports mean what they meant at a moment."""
    if personal:
        path = f"{quoted(database.catalog)}.main,{PERSONAL}.main"
        connection.execute(f"SET search_path = {text(path)}")
    connection.execute("SET VARIABLE as_of = $1::TIMESTAMPTZ", [moment.as_of])
    connection.execute("SET VARIABLE known_at = $1::BIGINT", [moment.position])


def ordering(order: Sequence[str]) -> str:
    """The clause that puts rows in an order; `-column` is falling."""
    terms = (
        f"{quoted(name.removeprefix('-'))} {'DESC' if name.startswith('-') else 'ASC'} NULLS LAST"
        for name in order
    )
    return f"ORDER BY {', '.join(terms)}"


def beyond(order: Sequence[str]) -> str:
    """The condition for rows after the one with `$after_0, $after_1 …` in the ordering columns."""
    ways, same = [], ""
    for number, name in enumerate(order):
        column, sign = quoted(name.removeprefix("-")), "<" if name.startswith("-") else ">"
        last = f"$after_{number}"
        further = f"{last} IS NOT NULL AND ({column} {sign} {last} OR {column} IS NULL)"
        ways.append(f"({same}{further})")
        same += f"{column} IS NOT DISTINCT FROM {last} AND "
    return f"({' OR '.join(ways)})"


def shown(value: Any, kind: str) -> Any:
    """A value as JSON has it: exact decimals as text, spans as seconds, JSON as what it says."""
    match value:
        case str() if kind == "JSON":
            value = orjson.loads(value)
        case Decimal() | UUID():
            value = str(value)
        case timedelta():
            value = value.total_seconds()
        case int() if abs(value) >= JSON_INTEGER_MAX:
            value = str(value)
        case list() | tuple():
            value = [shown(item, kind.removesuffix("[]")) for item in value]
        case dict():
            value = {name: shown(item, "") for name, item in value.items()}
    return value


def _key(value: Any) -> str | int | float | bool | None:
    """A value of the last row as a cursor carries it; DuckDB reads it back."""
    return value.isoformat() if isinstance(value, datetime | date) else value
