"""From what DuckDB answers to batches that every tool can read, and to frames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from readmodels.question import Unanswerable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

BATCH_ROWS = 16_384
DAYS_A_MONTH = 30
"""As DuckDB has it where it compares intervals."""


class Unpresentable(Unanswerable):
    """A value is none that other tools could read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows as they come, a batch in memory at a time, and the position they speak of.

    `kinds` are the types of the columns in DuckDB's words.
    """

    schema: pa.Schema
    kinds: Sequence[str]
    batches: Iterator[pa.RecordBatch]
    position: int

    def frame(self) -> pl.DataFrame:
        """All of it at once."""
        return pl.DataFrame(pa.Table.from_batches(self.batches, self.schema))

    def up_to(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The first rows, and one more if there are more."""
        left = rows + 1
        for batch in self.batches:
            yield batch.slice(0, left)
            left -= len(batch)
            if left <= 0:
                return


def answer(answered: DuckDBPyConnection, position: int = 0) -> Answer:
    """What was asked, not yet fetched: repeated names are numbered, the rest is as `plain` says."""
    kinds = [str(kind) for _, kind, *_ in answered.description or ()]
    reader = answered.to_arrow_reader(BATCH_ROWS)
    names = _distinct(reader.schema.names)
    fields = [
        pa.field(name, plain(kind)) for name, kind in zip(names, reader.schema.types, strict=True)
    ]
    schema = pa.schema(fields, {b"position": str(position).encode()})
    return Answer(schema, kinds, (_plain(batch, schema) for batch in reader), position)


def refound(rows: pl.DataFrame) -> Answer:
    """An answer made of a frame again, for those who write answers."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    return Answer(table.schema, [""] * len(table.schema), iter(table.to_batches(BATCH_ROWS)), 0)


def frame(answered: DuckDBPyConnection) -> pl.DataFrame:
    """An answer as a frame."""
    return answer(answered).frame()


def plain(kind: pa.DataType) -> pa.DataType:
    """The type a column is handed on as: sums of whole numbers whole, intervals durations."""
    if pa.types.is_interval(kind):
        return pa.duration("us")
    if kind == pa.decimal128(38, 0):
        return pa.int64()
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.string() if pa.types.is_null(kind) else kind


def _distinct(names: Sequence[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        unique, number = name, 0
        while unique in distinct:
            number += 1
            unique = f"{name}_{number}"
        distinct.append(unique)
    return distinct


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [_column(field, column) for field, column in zip(schema, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(field: pa.Field, column: pa.Array) -> pa.Array:
    if column.type == field.type:
        return column
    if pa.types.is_interval(column.type):
        spans = [value and _span(value) for value in column.to_pylist()]
        return pa.array(spans, field.type)
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid:
        raise Unpresentable(
            f"a value of {field.name} is beyond 64 bits; cast the column to DOUBLE or VARCHAR"
        ) from None


def _span(value: Any) -> timedelta:
    days = value.months * DAYS_A_MONTH + value.days
    return timedelta(days=days, microseconds=value.nanoseconds // 1000)
