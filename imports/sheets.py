"""The files an export writes: CSV, or Parquet with types."""

from __future__ import annotations

import csv
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from imports.files import MARK
from imports.source import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from imports.values import Kind

ROWS_AT_ONCE = 2_000
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", MARK)  # noqa: RUF001
"""How texts begin that a spreadsheet may take for a formula, and those that bear the mark."""

TYPES: Mapping[Kind | None, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "decimal": pa.decimal128(18, 2),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "moment": pa.timestamp("us", "UTC"),
}
"""What is not listed is text."""


class Format(StrEnum):
    """What the records are written as."""

    csv = "csv"
    parquet = "parquet"


class CsvSheet:
    """A CSV file (RFC 4180, UTF-8): what a spreadsheet would compute stands behind a mark."""

    def __init__(self, path: Path, columns: Mapping[str, Kind | None]) -> None:
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._columns = columns
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Some more rows."""
        self._writer.writerows(
            [self._cell(row.get(name)) for name in self._columns] for row in rows
        )

    def close(self) -> None:
        """There are no more."""
        self._file.close()

    @staticmethod
    def _cell(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return MARK + value if value.startswith(FORMULA) else value
        return value.isoformat() if isinstance(value, date) else as_text(value)


class ParquetSheet:
    """A Parquet file, whose values keep their types."""

    def __init__(self, path: Path, columns: Mapping[str, Kind | None]) -> None:
        kinds = columns.items()
        self._schema = pa.schema([(name, TYPES.get(kind, pa.string())) for name, kind in kinds])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Some more rows."""
        self._writer.write_table(pa.Table.from_pylist(list(rows), self._schema))

    def close(self) -> None:
        """There are no more."""
        self._writer.close()


SHEETS: Mapping[Format, type[CsvSheet | ParquetSheet]] = {
    Format.csv: CsvSheet,
    Format.parquet: ParquetSheet,
}


class Sheets:
    """One file for each kind of record, made when its first row comes."""

    def __init__(
        self, folder: Path, how: Format, columns: Mapping[str, Mapping[str, Kind | None]]
    ) -> None:
        self._folder, self._how, self._columns = folder, how, columns
        self._open: dict[str, CsvSheet | ParquetSheet] = {}
        self._waiting: dict[str, list[Mapping[str, Any]]] = {}
        self.rows: dict[str, int] = {}
        """How many each has."""

    def add(self, kind: str, row: Mapping[str, Any]) -> None:
        """One more row of a kind."""
        waiting = self._waiting.setdefault(kind, [])
        waiting.append(row)
        self.rows[kind] = self.rows.get(kind, 0) + 1
        if len(waiting) == ROWS_AT_ONCE:
            self._write(kind)

    def close(self) -> None:
        """Write what waits, and end."""
        for kind in self._waiting:
            self._write(kind)
        for sheet in self._open.values():
            sheet.close()

    def _write(self, kind: str) -> None:
        if kind not in self._open:
            path = self._folder / f"{kind}.{self._how}"
            self._open[kind] = SHEETS[self._how](path, self._columns[kind])
        self._open[kind].write(self._waiting[kind])
        self._waiting[kind] = []
