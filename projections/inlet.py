"""A way into a table of DuckDB that rows are put into again and again.

To plan an insert anew takes twice as long as to run it, when there are few rows.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import polars as pl

from projections.fields import streamed
from readmodels.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb


MANY_ROWS = 500
"""Documents of so many rows are worth it to say that they are JSON: they are not looked through
again then. To say so takes 0.15 milliseconds."""


class _Stream(ctypes.Structure):
    """`ArrowArrayStream` of Arrow's C stream interface."""

    _fields_ = tuple(
        (name, ctypes.c_void_p)
        for name in ("get_schema", "get_next", "get_last_error", "release", "private_data")
    )


_NAME = b"arrow_array_stream"
_RELEASE = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))
_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_address = ctypes.pythonapi.PyCapsule_GetPointer
_address.restype = ctypes.c_void_p
_address.argtypes = [ctypes.py_object, ctypes.c_char_p]


class Inlet:
    """Inserts rows into one table, by a statement that is planned once.

    DuckDB moves a stream out of the capsule it is given; here the next one is moved into its place,
    as the C stream interface has it. What a transaction planned is gone when it is rolled back.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        part: str,
        into: str,
        schema: pl.Schema,
        documents: Collection[str],
    ) -> None:
        """`into` is the full name of the table, `documents` are its columns of JSON."""
        given, insert = quoted(f"given_{part}"), quoted(f"insert_{part}")
        self._connection, self._documents = connection, documents
        self._statement = f"EXECUTE {insert}"
        self._held = _Stream()
        self._capsule = _capsule(ctypes.addressof(self._held), _NAME, None)
        self._hold(streamed(pl.DataFrame(schema=schema), documents))
        connection.register(f"given_{part}", self._capsule)
        connection.execute(f"PREPARE {insert} AS INSERT INTO {into} FROM {given}")

    def put(self, rows: pl.DataFrame) -> None:
        """Insert rows, in the transaction under way."""
        # They are said to be JSON already; it is planned anew for them after views were made.
        documents = self._documents if len(rows) >= MANY_ROWS else ()
        self._hold(streamed(rows, documents))
        # 0.35 milliseconds for 20 rows of 30 columns; 0.8 if it is planned each time.
        self._connection.execute(self._statement)

    def _hold(self, capsule: object) -> None:
        if self._held.release:  # nobody took it: a statement was planned, or failed
            _RELEASE(self._held.release)(self._held)
        given = _Stream.from_address(_address(capsule, _NAME))
        ctypes.pointer(self._held)[0] = given
        given.release = None
