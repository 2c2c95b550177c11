"""From the annotations of an event to the types of columns."""

from __future__ import annotations

import types
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import polars as pl
import pyarrow as pa
from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from domain.base import Event, PersonalMark

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type by its name in SQL, in Polars and in JSON (`json`: what `json_type` may say)."""

    sql: str
    polars: pl.DataType
    json: frozenset[str]

    def __str__(self) -> str:
        return self.sql


@dataclass(frozen=True, slots=True)
class FieldType:
    """What a field of an event holds."""

    type: ColumnType
    nullable: bool
    personal: bool


_WHOLE = frozenset({"BIGINT", "UBIGINT"})
_TEXT = frozenset({"VARCHAR"})

VARCHAR = ColumnType("VARCHAR", pl.String(), _TEXT)
BIGINT = ColumnType("BIGINT", pl.Int64(), _WHOLE)
DOUBLE = ColumnType("DOUBLE", pl.Float64(), _WHOLE | {"DOUBLE"})
BOOLEAN = ColumnType("BOOLEAN", pl.Boolean(), frozenset({"BOOLEAN"}))
UUID_ = ColumnType("UUID", pl.Binary(), _TEXT)
DATE = ColumnType("DATE", pl.Date(), _TEXT)
TIMESTAMPTZ = ColumnType("TIMESTAMPTZ", pl.Datetime("us", "UTC"), _TEXT)
UBIGINT = ColumnType("UBIGINT", pl.UInt64(), frozenset({"UBIGINT"}))
JSON = ColumnType(
    "JSON",
    pl.String(),
    frozenset({"OBJECT", "ARRAY", "VARCHAR", "BOOLEAN", "DOUBLE", "NULL"}) | _WHOLE,
)
JSON_OBJECT = ColumnType("JSON", pl.String(), frozenset({"OBJECT"}))
JSON_ARRAY = ColumnType("JSON", pl.String(), frozenset({"ARRAY"}))

_SCALARS: dict[Any, ColumnType] = {
    str: VARCHAR,
    int: BIGINT,
    float: DOUBLE,
    bool: BOOLEAN,
    UUID: UUID_,
    date: DATE,
    datetime: TIMESTAMPTZ,
    AwareDatetime: TIMESTAMPTZ,
}


class DeclarationError(Exception):
    """A declaration of a projection contradicts the events it is about, or itself."""


@cache
def decimal(digits: int, places: int) -> ColumnType:
    """An exact number; the log holds it as text."""
    return ColumnType(f"DECIMAL({digits},{places})", pl.Decimal(digits, places), _TEXT)


@cache
def fields_of(event: type[Event]) -> dict[str, FieldType]:
    """What each field of an event holds, in the order of declaration."""
    return {
        name: FieldType(*_of(field.annotation, tuple(field.metadata)), _is_personal(field))
        for name, field in event.model_fields.items()
    }


def _is_personal(field: FieldInfo) -> bool:
    return any(isinstance(mark, PersonalMark) for mark in field.metadata)


def _of(annotation: Any, marks: tuple[Any, ...]) -> tuple[ColumnType, bool]:
    """The type of an annotation, and whether null is among its values."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *outer = get_args(annotation)
        return _of(inner, (*marks, *outer))
    if origin in (Union, types.UnionType):
        return _of_union(get_args(annotation))
    if origin is Literal:
        return _one({_SCALARS[type(value)] for value in get_args(annotation)}), False
    if annotation is Decimal:
        return _of_decimal(marks), False
    if annotation in _SCALARS:
        return _SCALARS[annotation], False
    return (JSON_ARRAY if origin in (list, tuple, set, frozenset) else JSON_OBJECT), False


def _of_union(members: tuple[Any, ...]) -> tuple[ColumnType, bool]:
    some = [_of(member, ()) for member in members if member is not types.NoneType]
    nullable = len(some) < len(members) or any(null for _, null in some)
    return _one({member for member, _ in some}), nullable


def _one(found: set[ColumnType]) -> ColumnType:
    return found.pop() if len(found) == 1 else JSON


def _of_decimal(marks: tuple[Any, ...]) -> ColumnType:
    found: dict[str, int] = {}
    for mark in marks:
        for limit in mark.metadata if isinstance(mark, FieldInfo) else (mark,):
            for name in ("max_digits", "decimal_places"):
                value = getattr(limit, name, None)
                if value is not None:
                    found[name] = value
    if len(found) < 2:  # noqa: PLR2004 - both of them
        raise DeclarationError("a Decimal needs max_digits and decimal_places to become a column")
    return decimal(found["max_digits"], found["decimal_places"])


def polars_type(sql: str) -> pl.DataType:
    """The type in Polars of a column with this type in SQL."""
    if sql.startswith("DECIMAL("):
        digits, places = sql.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return pl.Decimal(int(digits), int(places))
    return _BY_SQL[sql]


def streamed(frame: pl.DataFrame, documents: Collection[str] = ()) -> object:
    """Rows as DuckDB takes them, once; no text is copied.

    It takes 0.25 milliseconds, and 0.55 when it is given a table of Arrow, which it looks through
    in Python. `documents` are JSON, and not looked through again.
    """
    if not documents:
        return frame.__arrow_c_stream__()
    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    fields = [f.with_metadata(_AS_JSON) if f.name in documents else f for f in table.schema]
    told = pa.Table.from_arrays(table.columns, schema=pa.schema(fields))
    return told.__arrow_c_stream__()


_AS_JSON = {"ARROW:extension:name": "arrow.json", "ARROW:extension:metadata": ""}
_BY_SQL = {
    kind.sql: kind.polars
    for kind in (VARCHAR, BIGINT, DOUBLE, BOOLEAN, UUID_, DATE, TIMESTAMPTZ, UBIGINT, JSON)
}
