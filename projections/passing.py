"""A batch on its way to another process: columns in memory that both see, copied once.

The memory has no name and never is a file; it is gone when nobody refers to it any more, however
the processes end.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from projections.batch import ROW, Batch
from projections.fold import AT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from domain.base import Event
    from projections.batch import Frames

HEADER_BYTES_MAX = 65_536
BUFFER_BYTES = 1 << 20
MANY_ROWS = 5_000
"""Frames with so many rows have memory of their own. Rows of others may wait long to be written,
and hold on to all that came in the same memory."""

# Texts one after the other: Polars would send along what they were cut out of.
LAYOUT = pl.CompatLevel.oldest()


class PassingEnded(EOFError):
    """The other process has ended."""


def pass_on(batch: Batch, opened: tuple[Frames, pl.DataFrame], to: socket.socket) -> None:
    """Hand a batch over, and what was opened of it."""
    values, unopened = opened
    fields = {
        event: frame.select(name for name in frame.columns if name == ROW or name[0] != AT)
        for event, frame in batch.frames.items()
    }
    frames = [batch.events, batch.faults, unopened, *fields.values(), *values.values()]
    few = [number for number, frame in enumerate(frames) if len(frame) < MANY_ROWS]
    many = [number for number, frame in enumerate(frames) if len(frame) >= MANY_ROWS]
    places = [few, *([number] for number in many)]
    memories = [os.memfd_create("batch") for _ in places]
    try:
        for memory, numbers in zip(memories, places, strict=True):
            _fill(memory, [frames[number] for number in numbers])
        socket.send_fds(to, [pickle.dumps((places, list(fields), list(values)))], memories)
    finally:
        for memory in memories:
            os.close(memory)


def tell(what: Exception | None, to: socket.socket) -> None:
    """Say that there are no more batches, or what went wrong."""
    to.send(pickle.dumps(what))


def take_in(of: socket.socket) -> Batch | None:
    """The next batch that is handed over; None when there are no more.

    Raises what the other process said went wrong, and `PassingEnded` when it says nothing.
    """
    header, memories, _, _ = socket.recv_fds(of, HEADER_BYTES_MAX, MEMORIES_MAX)
    if not header:
        raise PassingEnded
    said: Any = pickle.loads(header)  # noqa: S301 - our own child says it
    if said is None:
        return None
    if isinstance(said, Exception):
        raise said
    places, of_fields, of_values = said
    found: dict[int, pl.DataFrame] = {}
    for memory, numbers in zip(memories, places, strict=True):
        found |= zip(numbers, _found(memory), strict=True)
    events, faults, unopened, *others = (found[number] for number in sorted(found))
    return _put_together(events, faults, unopened, others, (of_fields, of_values))


MEMORIES_MAX = 64


def _put_together(
    events: pl.DataFrame,
    faults: pl.DataFrame,
    unopened: pl.DataFrame,
    others: Sequence[pl.DataFrame],
    names: tuple[Sequence[type[Event]], Sequence[type[Event]]],
) -> Batch:
    of_fields, of_values = names
    fields = dict(zip(of_fields, others, strict=False))
    values = dict(zip(of_values, others[len(fields) :], strict=True))
    return replace(Batch.of(events, fields, faults), opening=lambda: (values, unopened))


def _fill(memory: int, frames: Iterable[pl.DataFrame]) -> None:
    """Write frames into memory, one after the other."""
    with pa.output_stream(f"/proc/self/fd/{memory}", buffer_size=BUFFER_BYTES) as sink:
        for frame in frames:
            table = frame.to_arrow(compat_level=LAYOUT)
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)


def _found(memory: int) -> list[pl.DataFrame]:
    """The frames in memory; not copied."""
    size = os.fstat(memory).st_size
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
    shared = mmap.mmap(memory, size, flags=flags, prot=mmap.PROT_READ)
    os.close(memory)
    rows = pa.BufferReader(pa.py_buffer(shared))
    frames = []
    while rows.tell() < size:
        frames.append(pl.DataFrame(pa.ipc.open_stream(rows)))
    return frames
