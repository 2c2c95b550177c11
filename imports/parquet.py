"""Parquet files: rows whose values have types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BATCH_ROWS = 1_000


class NoParquet(ValueError):
    """The file ends in .parquet and is none."""


def header(path: Path) -> list[str]:
    """The names of the columns."""
    try:
        return list(pq.read_schema(path).names)
    except pa.ArrowInvalid as error:
        raise NoParquet(f"{path.name} is no Parquet file: {error}") from None


def records(path: Path, tell: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    """Every row; `tell` hears how many bytes of the file were read, as far as can be told."""
    size = path.stat().st_size
    with pq.ParquetFile(path, memory_map=True) as file:
        rows = file.metadata.num_rows
        for batch in file.iter_batches(BATCH_ROWS):
            tell(size * batch.num_rows // rows)
            yield from batch.to_pylist()
