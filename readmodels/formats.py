"""Answers as bytes that other tools read, written as the rows come."""

from __future__ import annotations

import io
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from readmodels.answer import Answer, Unpresentable
from readmodels.query import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP_ROWS = 122_880
GROUP_BYTES = 64 * 2**20
"""A row group of Parquet ends with whichever is reached first."""


class Format(StrEnum):
    """How an answer can be written; a file is named after it."""

    json = "json"
    csv = "csv"
    arrow = "arrow"
    parquet = "parquet"

    @property
    def media_type(self) -> str:
        """What it is called on the wire."""
        return MEDIA_TYPES[self]


MEDIA_TYPES = {
    Format.json: "application/json",
    Format.csv: "text/csv; charset=utf-8",
    Format.arrow: "application/vnd.apache.arrow.stream",
    Format.parquet: "application/vnd.apache.parquet",
}


def written(answer: Answer, how: Format) -> Iterator[bytes]:
    """All rows of an answer; raises Unpresentable for types that the format does not know."""
    return WRITERS[how](answer)


def rows_of(batch: pa.RecordBatch, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a batch as JSON has them."""
    named = list(zip(batch.schema.names, kinds, strict=True))
    columns = [
        [shown(value, kind) for value in column.to_pylist()]
        for column, (_, kind) in zip(batch.columns, named, strict=True)
    ]
    names = batch.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def as_json(value: Any) -> bytes:
    """One value as JSON; what JSON has no word for is text."""
    return orjson.dumps(value, default=_text, option=orjson.OPT_UTC_Z)


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _json(answer: Answer) -> Iterator[bytes]:
    yield b"["
    first, kinds = True, tuple(answer.kinds)
    for batch in answer.batches:
        if len(batch):
            yield (b"" if first else b",\n") + as_json(rows_of(batch, kinds))[1:-1]
            first = False
    yield b"]\n"


def _csv(answer: Answer) -> Iterator[bytes]:
    yield _lines(answer.schema.empty_table().to_batches(), answer.schema, header=True)
    for batch in answer.batches:
        yield _lines([batch], answer.schema, header=False)


def _lines(batches: list[pa.RecordBatch], schema: pa.Schema, *, header: bool) -> bytes:
    flat = [_flat(column) for column in pa.Table.from_batches(batches, schema).columns]
    frame = pl.DataFrame(dict(zip(schema.names, flat, strict=True)))
    return frame.write_csv(include_header=header).encode()


def _flat(column: pa.ChunkedArray) -> pl.Series:
    """A column as cells: times with their zone, spans in seconds, what has parts as JSON."""
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pl.Series([_cell(value) for value in column.to_pylist()], dtype=pl.String)
    series = pl.Series(column)
    if pa.types.is_duration(kind):
        return series.dt.total_microseconds() / 1e6
    if pa.types.is_timestamp(kind) and kind.tz:
        return series.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return series


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return _text(value)
    return as_json(shown(value, "")).decode()


class _Chunks(io.RawIOBase):
    """A file that is taken away as it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep what is written until it is taken."""
        self._written.append(bytes(data))
        return len(self._written[-1])

    def take(self) -> bytes:
        """What was written since it was asked last."""
        taken, self._written = b"".join(self._written), []
        return taken


def _arrow(answer: Answer) -> Iterator[bytes]:
    sink = _Chunks()
    with pa.ipc.new_stream(sink, answer.schema) as writer:
        yield sink.take()
        for batch in answer.batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def _parquet(answer: Answer) -> Iterator[bytes]:
    sink = _Chunks()
    try:
        writer = pq.ParquetWriter(sink, answer.schema, compression="zstd")
    except pa.ArrowNotImplementedError as error:
        raise Unpresentable(f"Parquet has no such type: {error}") from None
    with writer:
        for group in grouped(answer.batches):
            writer.write_table(group, row_group_size=len(group))
            yield sink.take()
    yield sink.take()


def grouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together to row groups."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= GROUP_ROWS or sum(one.nbytes for one in held) >= GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


WRITERS: dict[Format, Callable[[Answer], Iterator[bytes]]] = {
    Format.json: _json,
    Format.csv: _csv,
    Format.arrow: _arrow,
    Format.parquet: _parquet,
}
