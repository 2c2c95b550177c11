"""The tables of a workspace as replay handles them: opened, caught up, and looked at whole.

DIR/tables/
├── 0198…/         a generation: both files
├── current        a link to the generation that counts; `rebuild` turns it to the next
└── previous       a link to the one that counted before; `rollback` turns back to it
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from eventstore.envelope import uuid7
from projections import DIMENSIONS, FACTS
from projections.catch_up import catch_up as follow
from projections.catch_up import take
from projections.log import event, poison_event, poison_value, stream
from projections.tables import Tables
from readmodels.answer import frame
from readmodels.base import PERSONAL
from readmodels.bookmark import LOG
from readmodels.digest import digest
from readmodels.schema import END, Table, quoted
from replay.base import ReplayError
from replay.scratch import clear_scratch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from duckdb import DuckDBPyConnection

    from eventstore.log import Log
    from eventstore.workspace import Workspace
    from readmodels.base import Database
    from replay.apart import Apart

MAIN = "tables"
"""The name by which the file without personal columns is told of; the other is `personal`."""


class NothingBefore(ReplayError):
    """There is nothing to go back to."""


Progress = Callable[[int], None]
"""Is told the position reached."""


def unseen(_: int) -> None:
    """Progress that nobody looks at."""


DECLARED: Mapping[str, Table] = {
    table.name: table
    for table in (
        event,
        stream,
        poison_event,
        poison_value,
        *(shape.table for dimension in DIMENSIONS for shape in dimension.shapes),
        *(shape.table for facts in FACTS for shape in facts.shapes),
    )
}
"""Every table, by name."""


def folder_of(directory: Path) -> Path:
    """Where the tables of a workspace are kept, all generations of them."""
    folder = directory / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def current(directory: Path) -> Path:
    """The generation of tables that counts; the first is made when there is none."""
    link = folder_of(directory) / "current"
    if not link.exists():
        turn_to(new_generation(directory))
    return link.resolve()


def new_generation(directory: Path) -> Path:
    """An empty folder for tables; they do not count before `turn_to`."""
    generation = folder_of(directory) / str(uuid7())
    generation.mkdir()
    return generation


def turn_to(generation: Path) -> None:
    """From now on these tables count; a crash leaves either the old ones or these.

    Those that counted before are kept as the `previous` ones, and those before them removed.
    """
    folder = generation.parent
    before, older = ((folder / name).resolve() for name in ("current", "previous"))
    if generation == before:
        return
    if before.name != "current":
        _link(folder / "previous", before)
    _link(folder / "current", generation)
    if older.name != "previous" and older not in (before, generation):
        shutil.rmtree(older, ignore_errors=True)


def _link(link: Path, generation: Path) -> None:
    draft = link.with_name(f"{link.name}.{generation.name}")
    draft.symlink_to(generation.name)
    draft.replace(link)


def previous(directory: Path) -> Path:
    """The generation that counted before the current one."""
    link = folder_of(directory) / "previous"
    if not link.exists():
        raise NothingBefore("no tables are kept from before: there was no rebuild yet")
    return link.resolve()


def open_tables(
    workspace: Workspace,
    folder: Path | None = None,
    *,
    only: Collection[str] | None = None,
    kept: bool = False,
) -> Tables:
    """The tables of a workspace, personal ones included if its keys are at hand.

    See `Tables` for `only` and `kept`.
    """
    unseal = workspace.log.unseal if workspace.log.keys else None
    return Tables(folder or current(workspace.directory), unseal, only=only, kept=kept)


def catch_up(
    tables: Tables,
    log: Log,
    until: int,
    progress: Progress = unseen,
    apart: Apart | None = None,
) -> None:
    """Follow the log up to a position; `apart` has it read elsewhere."""
    with tables.filling(), ExitStack() as stack:
        if apart is None:
            follows = follow(tables, log.read_arrow, until)
        else:
            follows = take(tables, stack.enter_context(apart.coming(tables, until)))
        for taken in follows:
            progress(taken.position)


def personal_tables() -> set[str]:
    """The names of the tables with personal columns."""
    return {table.name for table in DECLARED.values() if table.personal}


def forget_elsewhere(directory: Path) -> None:
    """Remove the personal files of all tables but those that count, and what was left behind.

    Should these count again, they are made from the log, which opens no value of a person who was
    forgotten.
    """
    counting = current(directory)
    for generation in folder_of(directory).iterdir():
        if generation.is_dir() and not generation.is_symlink() and generation != counting:
            for path in generation.glob(f"{PERSONAL}-*"):
                path.unlink(missing_ok=True)
    clear_scratch(directory)


def tables_in(file: str) -> list[Table]:
    """The tables of one file."""
    return [table for table in DECLARED.values() if table.personal == (file == PERSONAL)]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the tables stand, all seen at one moment."""

    bookmarks: Mapping[str, int]
    """The bookmark of each file."""
    ends: Mapping[str, int]
    """The last position that any row of a file is from."""
    digests: Mapping[str, str]
    """A digest over all values of each table."""


class Kept(Protocol):
    """The tables as they are kept: in files of this process, or by a server."""

    def standing(self) -> Standing:
        """Where they stand."""

    def rows(self, table: str) -> tuple[int, pl.DataFrame]:
        """All rows of a table, and how far its file was then."""


class Here:
    """Tables that are open in this process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.catalogs = {MAIN: database.catalog}
        if database.has_personal:
            self.catalogs[PERSONAL] = PERSONAL

    def standing(self) -> Standing:
        """See `Kept`."""
        with self.database.connection() as connection:
            connection.begin()
            bookmarks = {f: _bookmark(connection, c) for f, c in self.catalogs.items()}
            return Standing(
                bookmarks,
                {f: _end(connection, c, self.database.shown(c)) for f, c in self.catalogs.items()},
                {
                    table.name: digest(connection, catalog, table, values=True)
                    for catalog in self.catalogs.values()
                    for table in self.database.shown(catalog)
                },
            )

    def rows(self, table: str) -> tuple[int, pl.DataFrame]:
        """See `Kept`."""
        file = PERSONAL if DECLARED[table].personal else MAIN
        catalog = self.catalogs[file]
        with self.database.connection() as connection:
            connection.begin()
            position = max(
                _bookmark(connection, catalog),
                _end(connection, catalog, self.database.shown(catalog)),
            )
            return position, frame(connection.execute(_whole(catalog, DECLARED[table])))


def _bookmark(connection: DuckDBPyConnection, catalog: str) -> int:
    found = connection.execute(
        f"SELECT notification_id FROM {quoted(catalog)}.stored.bookmark "  # noqa: S608 - our names
        "WHERE application_name = ?",
        [LOG],
    ).fetchone()
    return found[0] if found else 0


def _end(connection: DuckDBPyConnection, catalog: str, tables: Sequence[Table]) -> int:
    parts = " UNION ALL ".join(
        f"SELECT max(position) AS position FROM {quoted(catalog)}.stored.{quoted(part)}"  # noqa: S608
        for table in tables
        for part in table.parts()
    )
    found = connection.execute(f"SELECT coalesce(max(position), 0) FROM ({parts})").fetchone()  # noqa: S608
    return found[0] if found else 0


def _whole(catalog: str, table: Table) -> str:
    """All rows of all parts of a table; what a part lacks is NULL."""
    columns = (*table.stored, *END) if table.kind == "dimension" else table.stored
    return " UNION ALL BY NAME ".join(
        f"SELECT {', '.join(quoted(c.name) for c in columns if c in stored)} "  # noqa: S608
        f"FROM {quoted(catalog)}.stored.{quoted(part)}"
        for part, stored in table.parts().items()
    )
