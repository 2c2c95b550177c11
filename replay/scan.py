"""A search of everything on disk for what was known of a subject.

Each store is read as what it is: tables of PostgreSQL row by row and its files byte by byte, DuckDB
and Parquet files cell by cell, all other files as bytes. A search that finds nothing proves little;
so it is made before the forgetting too, when it has to find what it looks for.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pyarrow.parquet as pq
from psycopg import sql

from readmodels.base import PERSONAL
from readmodels.schema import quoted
from replay.base import ReplayError
from replay.subject import Records, records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from uuid import UUID

    from eventstore.workspace import Workspace

LENGTH_MIN = 5
"""Shorter texts stand in many places by chance."""

FRAGMENT_BYTES = 16
"""Of a wrapped key so much is looked for: it is chance, and files are cut into pages."""

CHUNK_BYTES = 1 << 24


class ScanImpossible(ReplayError):
    """There is nothing to look for, or not where it would have to be looked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: texts, and wrapped keys."""

    record_id: str
    record_ids: tuple[str, ...]
    texts: tuple[str, ...]
    keys: tuple[str, ...]
    """In hexadecimal."""

    @classmethod
    def of(cls, workspace: Workspace, id: UUID) -> Wanted:
        """What is known of a subject now; texts that are too short, or others' too, are left."""
        found = records_of(workspace.log, id)
        texts = {text for text in found.values() if len(text) >= LENGTH_MIN}
        texts -= set(_others(workspace, found, texts))
        with workspace.log.cursor() as cursor:
            cursor.execute(
                "SELECT wrapped FROM subject_key WHERE subject = ANY(%s)", (list(found.keys),)
            )
            keys = sorted(bytes(row["wrapped"]).hex() for row in cursor.fetchall())
        if not texts or not keys:
            raise ScanImpossible(f"nothing personal of {id} can be read: it may be forgotten")
        records = tuple(sorted(map(str, found.of)))
        return cls(str(id), records, tuple(sorted(texts)), tuple(keys))

    @classmethod
    def read(cls, path: Path) -> Wanted:
        """What was kept of it before the forgetting."""
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            lists = (tuple(held[name]) for name in ("record_ids", "texts", "keys"))
            return cls(held["record_id"], *lists)
        except (ValueError, TypeError, KeyError) as wrong:
            raise ScanImpossible(f"{path} holds nothing to look for: {wrong}") from None

    def write(self, path: Path) -> None:
        """Keep it for the search afterwards, for the owner only: these are the values."""
        held = {name: getattr(self, name) for name in self.__slots__}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(held, file)

    def needles(self) -> Iterator[tuple[str, bytes]]:
        """Each as bytes that a file may have, and which kind it is."""
        for text in self.texts:
            for form in {text, text.casefold(), json.dumps(text)[1:-1]}:
                yield "value", form.encode()
        for key in map(bytes.fromhex, self.keys):
            for start in range(0, len(key) - FRAGMENT_BYTES + 1, FRAGMENT_BYTES):
                yield "key", key[start : start + FRAGMENT_BYTES]


@dataclass(slots=True)
class Scan:
    """Where something was found, and what was looked through."""

    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often, by place and kind: a value or a wrapped key."""
    places: int = 0
    bytes: int = 0

    def missing(self) -> list[str]:
        """Where nothing was found of a subject who was not forgotten, though it has to be there."""
        seen = {(place, kind) for place, kind in self.found}
        wanted = {
            "a wrapped key in the tables of PostgreSQL": any(
                place.endswith(".subject_key") and kind == "key" for place, kind in seen
            ),
            "a value in the personal tables": any(
                Path(place).name.startswith(PERSONAL) and kind == "value" for place, kind in seen
            ),
        }
        return [place for place, there in wanted.items() if not there]


def scan(
    workspace: Workspace,
    wanted: Wanted,
    also: Sequence[Path] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Scan:
    """Look through the database and all files of the workspace, and of other folders.

    No other process may have the tables open.
    """
    done, needles = Scan(), list(wanted.needles())
    for place, content in _rows(workspace.database_url):
        _look(done, place, content, needles)
    for folder in (workspace.directory, *also):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file() and not path.is_symlink():
                progress(str(path))
                for content in decoded(path):
                    _look(done, str(path.relative_to(folder.parent)), content, needles)
    return done


def _look(done: Scan, place: str, content: bytes, needles: Iterable[tuple[str, bytes]]) -> None:
    done.places, done.bytes = done.places + 1, done.bytes + len(content)
    for kind, needle in needles:
        if needle in content:
            done.found[place, kind] += 1


def _rows(database_url: str) -> Iterator[tuple[str, bytes]]:
    """Every table of every workspace in the database, a number of rows at a time, decoded."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'backstory%' "
            "UNION SELECT 'pg_catalog', 'pg_statistic' ORDER BY 1, 2"
        ).fetchall()
        for schema, table in tables:
            with connection.cursor(name="scan") as cursor:
                cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table)))
                while rows := cursor.fetchmany(2_000):
                    cells = (_bytes(value) for row in rows for value in row)
                    yield f"postgresql: {schema}.{table}", b"\n".join(cells)


def decoded(path: Path) -> Iterator[bytes]:
    """What a file holds, as it is and as what it is."""
    yield from _chunks(path)
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            for _, rows in _cells(connection):
                yield b"\n".join(_bytes(value) for row in rows for value in row)
    elif path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(2_000):
                values = (value for column in batch.columns for value in column.to_pylist())
                yield b"\n".join(_bytes(value) for value in values)
    elif path.suffix == ".gz":
        with gzip.open(path) as file:
            yield file.read()


def _chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file; each chunk begins with the end of the one before."""
    with path.open("rb") as file:
        before = b""
        while chunk := file.read(CHUNK_BYTES):
            yield before + chunk
            before = chunk[-4096:]


def _cells(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, list[Any]]]:
    tables = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"
    ).fetchall()
    for schema, table in tables:
        named = f"{quoted(schema)}.{quoted(table)}"
        columns = connection.execute(f"SELECT * FROM {named}")  # noqa: S608 - our names
        while rows := columns.fetchmany(5_000):
            yield table, rows


def _others(workspace: Workspace, found: Records, texts: set[str]) -> Iterator[str]:
    """Those of the texts that stand in records of others too, as the log has them."""
    left = set(texts)
    for recorded in workspace.log.read():
        if recorded.stream_id not in found.of:
            for name in type(recorded.event).model_fields:
                said = str(getattr(recorded.event, name))
                shared = {text for text in left if text in said}
                yield from shared
                left -= shared


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return str(value).encode(errors="replace")
