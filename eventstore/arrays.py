"""Columns of a batch as arrays in PostgreSQL's binary form.

The driver asks each value how it is written: 7 µs a command, of which this leaves one.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from psycopg.abc import Buffer

HEAD = struct.Struct(">iiIii")  # dimensions, whether any is null, type, length, first index
BIGINT, BYTEA, TEXT, MOMENT, ID = 20, 17, 25, 1184, 2950
NULL = b"\xff\xff\xff\xff"
ID_FOLLOWS = struct.pack(">i", 16)
number = struct.Struct(">iq").pack
EPOCH, MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Array(bytes):
    """An array as the server reads it; the statement names its type."""

    __slots__ = ()


class ArrayDumper(Dumper):
    """Hands an array on as it is."""

    format = Format.BINARY

    def dump(self, obj: Buffer) -> Buffer:
        """See `Dumper`."""
        return obj


psycopg.adapters.register_dumper(Array, ArrayDumper)


def ids(values: Sequence[UUID]) -> Array:
    """An array of ids."""
    each = [ID_FOLLOWS + one.int.to_bytes(16, "big") for one in values]
    return _array(ID, len(values), b"".join(each))


def ids_or_nulls(values: Sequence[UUID | None]) -> Array:
    """An array of ids, of which some may be null."""
    each = [NULL if one is None else ID_FOLLOWS + one.bytes for one in values]
    return _array(ID, len(values), b"".join(each), nulls=True)


def moments_or_nulls(values: Sequence[datetime | None]) -> Array:
    """An array of points in time, of which some may be null."""
    each = [NULL if one is None else number(8, (one - EPOCH) // MICROSECOND) for one in values]
    return _array(MOMENT, len(values), b"".join(each), nulls=True)


def bigints_or_nulls(values: Sequence[int | None]) -> Array:
    """An array of numbers, of which some may be null."""
    each = [NULL if one is None else number(8, one) for one in values]
    return _array(BIGINT, len(values), b"".join(each), nulls=True)


def bigints(values: Sequence[int]) -> Array:
    """An array of numbers."""
    count = len(values)
    return _array(
        BIGINT, count, struct.pack(">" + "iq" * count, *[x for n in values for x in (8, n)])
    )


def texts(values: Iterable[str]) -> Array:
    """An array of texts."""
    return _sized(TEXT, [value.encode() for value in values])


def byteas(values: Sequence[bytes]) -> Array:
    """An array of bytes."""
    return _sized(BYTEA, values)


def _sized(kind: int, values: Sequence[bytes]) -> Array:
    each = [part for value in values for part in (len(value).to_bytes(4, "big"), value)]
    return _array(kind, len(values), b"".join(each))


def _array(kind: int, count: int, each: bytes, *, nulls: bool = False) -> Array:
    return Array(HEAD.pack(1, nulls, kind, count, 1) + each)
