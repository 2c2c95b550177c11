"""Snapshots: the tables at one position, in a folder that needs no log to be read.

DIR/
├── manifest.json      of which log and position, which tables, what they add up to
├── backstory.duckdb   tables, reports and time travel; or, as Parquet, a folder for each table
└── personal.duckdb    the personal columns, only where they were asked for

A folder is there whole or not at all. A process that has no tables yet may begin from one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import duckdb
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from projections.tables import Tables, declared_name
from readmodels.base import Database
from readmodels.query import position_at
from readmodels.schema import END, Table
from replay.base import NO_BOUND, ReplayError
from replay.parquet import write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from eventstore.log import Log
    from eventstore.workspace import Workspace
    from replay.base import Bounds

MAIN_FILE, PERSONAL_FILE = "backstory.duckdb", "personal.duckdb"
MANIFEST = "manifest.json"
SNAPSHOTS = "snapshots"
"""Where they are in the directory of a workspace, unless somebody says otherwise."""


class Format(StrEnum):
    """What a snapshot is made of."""

    duckdb = "duckdb"
    parquet = "parquet"


class SnapshotExists(ReplayError):
    """There is something in the folder already."""


class NoSnapshot(ReplayError):
    """There is no snapshot that could be asked; the message says why."""


class WrongFormat(ReplayError):
    """A snapshot is not in the format that is needed."""


class NoKeys(ReplayError):
    """Personal columns were asked for, and the keys that open them are not here."""


class Described(BaseModel):
    """A column: what it is and means."""

    name: str
    type: str
    description: str
    unit: str


class Contents(BaseModel):
    """A table: what it means, and what its rows add up to (see `readmodels.digest`).

    What could not be opened depends on the keys at hand, and has no digest.
    """

    description: str
    kind: str
    personal: bool
    digest: str | None
    columns: list[Described]


class File(BaseModel):
    """A file, and how to see that it is whole."""

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a snapshot holds. `event_id` is that of the last event, which tells logs apart.

    With `rules` it tells not what was, but what would have been by rules of that title.
    """

    model_config = ConfigDict(frozen=True)

    format: Format
    position: int
    event_id: str | None
    as_of: str | None
    declarations: str
    personal: bool
    rules: str | None = None
    tables: dict[str, Contents]
    files: dict[str, File]


def write_snapshot(
    tables: Tables,
    workspace: Workspace,
    folder: Path,
    how: Format,
    within: Bounds = NO_BOUND,
    *,
    personal: bool = False,
    rules: str | None = None,
) -> Manifest:
    """Write what tables say of a moment to a folder that is not there yet."""
    if personal and not (workspace.log.keys and tables.database.has_personal):
        raise NoKeys("personal columns need the keys of the workspace, which are not here")
    with drafted(folder) as draft:
        unseal = workspace.log.unseal if personal and workspace.log.keys else None
        with closing(Tables(draft, unseal)) as copied:
            position = copied.copy(tables, as_of=within.as_of, known_at=within.known_at)
            paths = copied.paths[: len(copied.database.catalogs)]
        renamed = [draft / name for name in (MAIN_FILE, PERSONAL_FILE)][: len(paths)]
        for path, name in zip(paths, renamed, strict=True):
            path.rename(name)
        with closing(_shown(renamed, copied)) as database:
            contents = _contents(database)
            if how is Format.parquet:
                write_parquet(database, draft)
        if how is Format.parquet:
            for path in renamed:
                path.unlink()
        manifest = Manifest(
            format=how,
            position=position,
            event_id=event_at(workspace.log, position),
            as_of=within.as_of.isoformat() if within.as_of else None,
            declarations=declared_name(),
            personal=personal,
            rules=rules,
            tables=contents,
            files=_files(draft),
        )
        (draft / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
    return manifest


def check_free(folder: Path) -> None:
    """Raises SnapshotExists where something is in the folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SnapshotExists(f"{folder} is there already: name a folder that is not")


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """A folder that takes its name when all is written, and is gone if that fails."""
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.parent / f".{folder.name}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)  # personal columns may be among them
    try:
        yield draft
        draft.replace(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def event_at(log: Log, position: int) -> str | None:
    """The id of the event at a position; None where there is none."""
    after = log.read_arrow(position - 1, 1)
    found = after.filter(pc.field("position") == position)["event_id"].to_pylist()
    return str(UUID(bytes=found[0])) if found else None


def read_manifest(folder: Path) -> Manifest:
    """What a snapshot says of itself; raises ValueError or OSError where there is none."""
    return Manifest.model_validate_json((folder / MANIFEST).read_text())


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot that can be asked."""

    manifest: Manifest
    database: Database

    def position_at(self, moment: datetime) -> int:
        """See `Log.position_at`, as far as the snapshot knows."""
        return position_at(self.database, moment)


@contextmanager
def opened(folder: Path) -> Iterator[Opened]:
    """A snapshot to ask; nothing in its folder is changed. Raises NoSnapshot."""
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError):
        raise NoSnapshot(f"{folder} is no snapshot: there is no readable {MANIFEST}") from None
    if manifest.format is not Format.duckdb:
        raise NoSnapshot(f"{folder} is {manifest.format}: only one of DuckDB can be asked")
    personal = folder / PERSONAL_FILE if manifest.personal else None
    with closing(Database(folder / MAIN_FILE, personal, read_only=True)) as database:
        database.position = manifest.position
        yield Opened(manifest, database)


def open_snapshot(folder: Path) -> DuckDBPyConnection:
    """A connection that reads a snapshot of DuckDB, without its personal columns."""
    manifest = read_manifest(folder)
    if manifest.format is not Format.duckdb:
        raise WrongFormat(f"{folder} is a snapshot in {manifest.format}, not in DuckDB")
    connection = duckdb.connect(str(folder / MAIN_FILE), read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shown(paths: list[Path], copied: Tables) -> Database:
    """The copied files by their new names, with views and reports that know them so."""
    shown = [copied.database.shown(catalog) for catalog in copied.database.catalogs]
    database = Database(*paths)
    for catalog, tables in zip(database.catalogs, shown, strict=True):
        database.show(tables, catalog)
    database.refresh()
    return database


def _contents(database: Database) -> dict[str, Contents]:
    digests = database.digests()
    return {
        table.name: Contents(
            description=table.description,
            kind=table.kind,
            personal=table.personal,
            digest=digests.get(table.name),
            columns=_columns(table),
        )
        for catalog in database.catalogs
        for table in database.shown(catalog)
    }


def _columns(table: Table) -> list[Described]:
    columns = (*table.stored, *END) if table.kind == "dimension" else table.stored
    return [
        Described(name=c.name, type=c.type, description=c.description, unit=c.unit) for c in columns
    ]


def _files(draft: Path) -> dict[str, File]:
    return {
        str(path.relative_to(draft)): File(bytes=path.stat().st_size, sha256=sha256(path))
        for path in sorted(draft.rglob("*"))
        if path.is_file()
    }


def told(manifest: Manifest) -> dict[str, Any]:
    """A snapshot in a few words."""
    size = sum(file.bytes for file in manifest.files.values())
    return {
        "format": manifest.format,
        "position": manifest.position,
        "as_of": manifest.as_of,
        "tables": len(manifest.tables),
        "files": len(manifest.files),
        "bytes": size,
    }
