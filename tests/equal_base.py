"""Two bases, compared: everything in every table, but for what is declared to be apart."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from eventstore.workspace import Workspace
from eventstore.writer import Writer
from imports.again import APART, TABLES_APART
from imports.base import Import
from imports.export import Export
from imports.feed import Feed
from imports.recipe import load
from imports.report import Errors
from imports.sheets import Format
from projections import DIMENSIONS, FACTS
from readmodels.schema import END, quoted
from replay.tables import catch_up, open_tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imports.report import Summary
    from readmodels.base import Database

EQUAL = {*(table.name for table in DIMENSIONS), *(table.name for table in FACTS)} - {*TABLES_APART}
"""The dimensions and fact tables that an export carries."""

Rows = list[tuple[Any, ...]]


def base(workspace: Workspace) -> dict[str, Rows]:
    """All rows of all these tables: of dimensions every version, with what is personal."""
    with closing(open_tables(workspace)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())
        return rows_in(tables.database)


def rows_in(database: Database) -> dict[str, Rows]:
    """All columns of them that an import has to make anew."""
    found: dict[str, Rows] = {}
    shown = [(catalog, table) for catalog in database.catalogs for table in database.shown(catalog)]
    with database.connection() as connection:
        for catalog, table in shown:
            if table.name.removesuffix("_personal") not in EQUAL:
                continue
            history = table.kind == "dimension"
            stored = (*table.stored, *END) if history else table.stored
            columns = [quoted(c.name) for c in stored if c.name not in APART and not c.digest_of]
            name = f"{table.name}_history" if history else table.name
            found[name] = connection.execute(
                f"SELECT {', '.join(columns)} FROM {quoted(catalog)}.{name} ORDER BY ALL"
            ).fetchall()
    return found


def differences(one: Mapping[str, Rows], other: Mapping[str, Rows]) -> dict[str, Any]:
    """The rows of each table that only one of two bases has."""
    assert one.keys() == other.keys()
    return {
        name: (sorted(set(map(str, rows)) - set(map(str, other[name])))[:3],
               sorted(set(map(str, other[name])) - set(map(str, rows)))[:3])
        for name, rows in one.items()
        if rows != other[name]
    }  # fmt: skip


def export(workspace: Workspace, folder: Path, how: Format = Format.csv, **options: Any) -> Path:
    """The records of a workspace in a folder."""
    folder.mkdir()
    Export(workspace.log, folder, how, personal=True, **options).run()
    return folder


def import_(workspace: Workspace, folder: Path, errors: Path | None = None) -> Summary:
    """Import what was exported."""
    recipe = load(str(folder / "recipe.toml"))
    with Errors(errors) as told, Writer(workspace.log) as writer:
        return Import(Feed(recipe, folder), workspace.log, writer, errors=told).run()
