"""From what DuckDB answers to frames."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS_A_MONTH = 30
"""As DuckDB has it where it compares intervals."""


def frame(answered: DuckDBPyConnection) -> pl.DataFrame:
    """An answer as a frame.

    Repeated names are numbered, sums of whole numbers whole, intervals durations.
    """
    table: pa.Table = answered.to_arrow_table()
    names: list[str] = []
    columns: list[pl.Series] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        unique, number = name, 0
        while unique in names:
            number += 1
            unique = f"{name}_{number}"
        names.append(unique)
        columns.append(_series(unique, column))
    return pl.DataFrame(columns)


def _series(name: str, column: pa.ChunkedArray) -> pl.Series:
    if pa.types.is_interval(column.type):
        spans = [value and _span(value) for value in column.to_pylist()]
        return pl.Series(name, spans, pl.Duration("us"))
    if column.type == pa.decimal128(38, 0):
        return pl.Series(name, pl.Series(column).cast(pl.Int64))
    if pa.types.is_null(column.type):
        return pl.Series(name, [None] * len(column), pl.String)
    return pl.Series(name, column)


def _span(value: pa.MonthDayNano) -> timedelta:
    days = value.months * DAYS_A_MONTH + value.days
    return timedelta(days=days, microseconds=value.nanoseconds // 1000)
