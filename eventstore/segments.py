"""Segments: closed ranges of the log as Parquet files, each with its root and a signature inside.

A segment holds the events of the leaves from `first` up to `after`, as they are stored: personal
values are ciphertext. Beside the rows it keeps the peaks of the tree before it and a checkpoint
over the `after` leaves that end with it; so each can be checked without any other. A segment that
is written is never written again.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from eventstore.leaf import COLUMNS
from eventstore.merkle import Frontier
from eventstore.notes import NoteWrong
from eventstore.tree import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from eventstore.notes import Verifier

SEGMENT_EVENTS = 65_536
NAME = re.compile(r"segment-([0-9]{12})-([0-9]{12})\.parquet")
ABOUT = b"backstory.segment.v1"
IDS = ("event_id", "stream_id", "actor", "correlation_id", "causation_id")
ROW_GROUP = 16_384


class SegmentWrong(Exception):
    """A segment is not what was sealed; the message names it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment says of itself."""

    name: str
    first: int
    after: int
    peaks: tuple[bytes, ...]
    """Those of the tree of `first` leaves."""
    note: str
    """The checkpoint over `after` leaves."""

    def before(self) -> Frontier:
        """The tree that the segment continues."""
        return Frontier(self.first, self.peaks)

    def check(self, leaves: Sequence[bytes], tree: Frontier, verifiers: Iterable[Verifier]) -> None:
        """Let its leaves continue a tree; raises `SegmentWrong` unless that is what was signed."""
        if tree.size != self.first or tuple(tree.hashes) != self.peaks:
            raise SegmentWrong(f"{self.name} does not continue the events before it")
        tree.extend(leaves)
        try:
            signed = Checkpoint.parse(self.note, verifiers)
        except NoteWrong as wrong:
            raise SegmentWrong(f"{self.name}: {wrong}") from None
        if (signed.size, signed.root) != (self.after, tree.root()):
            raise SegmentWrong(f"{self.name} holds other events than those that were signed")


def name_of(first: int, after: int) -> str:
    """What the file of a segment is called."""
    return f"segment-{first:012}-{after:012}.parquet"


def write_segment(path: Path, rows: pa.Table, before: Frontier, note: str) -> None:
    """Write rows of `Log.read_arrow` as the segment that continues a tree."""
    about = {"peaks": [base64.b64encode(peak).decode() for peak in before.hashes], "note": note}
    columns = [_as_uuids(rows[name]) if name in IDS else rows[name] for name in COLUMNS]
    table = pa.table(dict(zip(COLUMNS, columns, strict=True)))
    table = table.replace_schema_metadata({ABOUT: orjson.dumps(about)})
    pq.write_table(
        table, path, compression="zstd", row_group_size=ROW_GROUP, use_dictionary=["type", *IDS[2:]]
    )


def read_segment(name: str, content: bytes) -> tuple[Segment, pa.Table]:
    """What a segment says of itself, and its rows as `Log.read_arrow` gives them."""
    try:
        with pq.ParquetFile(io.BytesIO(content)) as file:
            segment = _said(name, file.schema_arrow.metadata)
            table = file.read()
            columns = [_as_bytes(table[of]) if of in IDS else table[of] for of in COLUMNS]
    except SegmentWrong:
        raise
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise SegmentWrong(f"{name} cannot be read: {error}") from None
    return segment, pa.table(dict(zip(COLUMNS, columns, strict=True)))


def _said(name: str, metadata: dict[bytes, bytes] | None) -> Segment:
    found = NAME.fullmatch(name)
    if found is None or not metadata or ABOUT not in metadata:
        raise SegmentWrong(f"{name} is no segment")
    about = orjson.loads(metadata[ABOUT])
    peaks = tuple(base64.b64decode(peak, validate=True) for peak in about["peaks"])
    segment = Segment(name, int(found[1]), int(found[2]), peaks, about["note"])
    segment.before()
    return segment


def _as_uuids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    stored = column.cast(pa.binary(16))
    chunks = [pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in stored.chunks]
    return pa.chunked_array(chunks, pa.uuid())


def _as_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    stored = [chunk.storage for chunk in column.chunks]
    return pa.chunked_array(stored, pa.binary(16)).cast(pa.binary())
