"""What anybody may ask of the tables, and how long the answer may take."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from types import TracebackType

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

SECONDS_MAX = 30.0
"""How long a statement of a reader may take."""

Parameters = Mapping[str, Any] | Sequence[Any] | None


class Unanswerable(Exception):
    """There is no answer to a question; the message says why."""


class QueryTimeout(Unanswerable):
    """The statement took longer than it may."""


@dataclass(frozen=True, slots=True)
class Question:
    """A SELECT, what its parameters stand for, and the moment it is about."""

    sql: str
    parameters: Parameters = None
    as_of: datetime | None = None
    known_at: int | datetime | None = None


class Deadline:
    """So long may a connection work, in all; what it works on within a block is ended then.

    Only the time within blocks counts: how long a reader takes for a batch is not DuckDB's fault.
    """

    def __init__(self, connection: DuckDBPyConnection, seconds: float) -> None:
        self._connection = connection
        self._seconds = self._left = seconds

    def each(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches that are fetched within the deadline."""
        while True:
            with self:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._alarm = threading.Timer(max(self._left, 0), self._connection.interrupt)
        self._alarm.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._alarm.cancel()
        self._left -= time.monotonic() - self._began
        # What fails while rows are fetched comes through Arrow, which knows only OSError.
        late = isinstance(error, OSError) and str(error).startswith("INTERRUPT")
        if late or isinstance(error, duckdb.InterruptException):
            raise QueryTimeout(f"no answer within {self._seconds:g} seconds") from None
        if isinstance(error, OSError):
            raise duckdb.Error(str(error)) from None
