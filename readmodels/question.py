"""What anybody may ask of the tables, and how long the answer may take."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from types import TracebackType

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

SECONDS_MAX = 30.0
"""How long a statement of a reader may take."""

AGAIN_SECONDS = 0.1
GRACE_SECONDS = 3.0
"""How long work may go on after it was told to end; most of it looks up often enough."""

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
    Should the work not end though it was told to, `overdue` is called.
    """

    def __init__(self, seconds: float, overdue: Callable[[], None] = lambda: None) -> None:
        self._seconds = self._left = seconds
        self._overdue = overdue
        self._stopped = self._closed = False
        self._began: float | None = None
        self._changed = threading.Condition()

    @contextmanager
    def over(self, connection: DuckDBPyConnection) -> Iterator[None]:
        """Watch over the work of this connection."""
        watch = threading.Thread(target=self._watch, args=(connection,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify()
            watch.join()

    def stop(self) -> None:
        """Nobody waits for an answer any more: end the work."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def each(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches that are fetched within the deadline."""
        while True:
            with self:
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def __enter__(self) -> Self:
        with self._changed:
            if self._stopped:
                raise QueryTimeout("the question was withdrawn")
            self._began = time.monotonic()
            self._changed.notify()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            began, self._began = self._began or 0.0, None
            self._left -= time.monotonic() - began
        # What fails while rows are fetched comes through Arrow, which knows only OSError.
        late = isinstance(error, OSError) and str(error).startswith("INTERRUPT")
        if late or isinstance(error, duckdb.InterruptException):
            raise QueryTimeout(f"no answer within {self._seconds:g} seconds") from None
        if isinstance(error, OSError):
            memory = str(error).startswith("Out of Memory")
            raise (duckdb.OutOfMemoryException if memory else duckdb.Error)(str(error)) from None

    def _watch(self, connection: DuckDBPyConnection) -> None:
        """Interrupt work that is late; again and again, for it may just be beginning."""
        told_at = math.inf
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                left = self._began + self._left - now if self._began else None
                if left is None or (left > 0 and not self._stopped):
                    told_at = math.inf
                    self._changed.wait(left)
                    continue
                told_at = min(told_at, now)
                connection.interrupt()
                if now - told_at > GRACE_SECONDS:
                    self._overdue()
                    return
                self._changed.wait(AGAIN_SECONDS)
