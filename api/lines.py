"""Lines in and lines out, at once: a request is answered while it is still being asked."""

from __future__ import annotations

import asyncio
import sqlite3
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MEMORY_BYTES_MAX = 1024 * 1024
CHUNK_BYTES = 64 * 1024


async def lines_of(chunks: AsyncIterator[bytes], bytes_max: int) -> AsyncIterator[bytes | None]:
    """The lines of a stream, in constant memory; None for one that is longer than `bytes_max`."""
    begun = bytearray()
    too_long = False
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            begun += end
            yield None if too_long or len(begun) > bytes_max else bytes(begun)
            begun.clear()
            too_long = False
        if not too_long:
            begun += rest
            too_long = len(begun) > bytes_max
        if too_long:
            begun.clear()
    if begun or too_long:
        yield None if too_long else bytes(begun)


class Outbox:
    """What goes out as soon as the other side takes it; a long queue waits in a file.

    Many clients send all they have before they read a word. If the answers had to wait for them,
    each side would wait for the other for ever.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(MEMORY_BYTES_MAX)  # noqa: SIM115 - closed at our end
        self._written = self._taken = 0
        self._news = asyncio.Event()
        self._complete = False

    def put(self, text: bytes) -> None:
        """Add to what goes out."""
        self._file.seek(self._written)
        self._written += self._file.write(text)
        self._news.set()

    def complete(self) -> None:
        """Say that nothing will be added."""
        self._complete = True
        self._news.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """What was put, until it is complete."""
        while True:
            while self._taken < self._written:
                self._file.seek(self._taken)
                chunk = self._file.read(CHUNK_BYTES)
                self._taken += len(chunk)
                if self._taken == self._written:
                    self._file.truncate(0)
                    self._taken = self._written = 0
                yield chunk
            if self._complete:
                return
            self._news.clear()
            await self._news.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Ordinals:
    """Counts lines that are equal, however many there are: in memory, and then in a file."""

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.execute("PRAGMA journal_mode = off")
        self._table.execute("CREATE TABLE seen (line BLOB PRIMARY KEY, times INT) WITHOUT ROWID")
        self._table.execute("BEGIN")

    def next(self, line: bytes) -> int:
        """How many lines like this one came before."""
        counted = self._table.execute(
            "INSERT INTO seen VALUES (?, 0) "
            "ON CONFLICT (line) DO UPDATE SET times = times + 1 RETURNING times",
            (line,),
        )
        return int(counted.fetchone()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()
