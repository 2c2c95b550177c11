"""The leaf of an event: its envelope and its stored bytes, in one encoding that nothing shares.

Each field is its length (four bytes, big-endian) and then its bytes, in this order:

    "backstory.leaf.v1"   position, version, recorded_at, occurred_at   (eight bytes each)
    event_id, stream_id, actor, correlation_id                          (sixteen bytes each)
    causation_id (sixteen bytes, or none), type (UTF-8), data (as stored, personal values sealed)

Numbers are signed and big-endian; times are microseconds since 1970 in UTC.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = b"backstory.leaf.v1"
FIXED = struct.Struct(">cI17sIqIqIqIqI16sI16sI16sI16sI")
"""Up to the length of the causation; the first byte says to the tree that this is a leaf."""

COLUMNS = (
    "position", "version", "recorded_at", "occurred_at", "event_id", "stream_id", "actor",
    "correlation_id", "causation_id", "type", "data",
)  # fmt: skip


def leaf_hashes(rows: pa.Table) -> list[bytes]:
    """The hash of each row of `Log.read_arrow`."""
    return [sha256(leaf).digest() for leaf in _leaves(rows)]


def _leaves(rows: pa.Table) -> Iterator[bytes]:
    pack, length = FIXED.pack, struct.Struct(">I").pack
    for at, version, recorded, occurred, id, stream, actor, talk, cause, type, data in zip(
        *(_values(rows[name]) for name in COLUMNS), strict=True
    ):
        because, name = cause or b"", type.encode()
        yield b"".join((
            pack(
                b"\x00", 17, VERSION, 8, at, 8, version, 8, recorded, 8, occurred,
                16, id, 16, stream, 16, actor, 16, talk, len(because),
            ),
            because, length(len(name)), name, length(len(data)), data,
        ))  # fmt: skip


def _values(column: Any) -> list[Any]:
    """Values of a column, times as microseconds."""
    values: list[Any] = (
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    ).to_pylist()
    return values
