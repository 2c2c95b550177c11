"""The tables published: kept up to date in a database that others read, one commit at a time.

What changed between two positions is read off the tables themselves: versions that ended since,
current rows that began since, facts that came since. The target keeps the position it has in the
transaction of its rows; so whoever breaks off anywhere goes on from there, and twice is once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from projections.catch_up import catch_up
from projections.tables import declared_name
from readmodels.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from eventstore.log import Log
    from projections.tables import Tables
    from readmodels.schema import Column, Table
    from readmodels.views import View

STEP = 400_000
"""Positions that are published in one transaction, at most."""

WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """Rows for a stored part of a table; with `keys` they take the place of those that have them.

    `rows` is a SELECT of `columns` on the connection of the tables.
    """

    part: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    rows: str


@dataclass(frozen=True, slots=True)
class Edition:
    """What is to be published: what changed `after` a position, up to another.

    With `after` None everything is, in the place of whatever is there.
    """

    declarations: str
    after: int | None
    position: int
    tables: Sequence[Table]
    views: Sequence[View]
    changes: Sequence[Change]
    source: DuckDBPyConnection


class Target(Protocol):
    """A database in which the tables are published."""

    def position(self, declarations: str) -> int | None:
        """The position it has; None if it has no tables of these declarations."""

    def write(self, edition: Edition) -> None:
        """Take all of an edition, and its position, in one transaction."""


def publish(tables: Tables, target: Target) -> int:
    """Bring a target to the position of the tables, and return it."""
    with tables.snapshot() as (position, connection):
        name, catalog = declared_name(), tables.database.catalog
        after = target.position(name)
        if after is not None and after >= position:
            return after
        shown = tables.database.shown(catalog)
        views = [view for view in tables.database.views() if view.catalog == catalog]
        changes = [change for t in shown for change in _changes(catalog, t, after or 0)]
        target.write(Edition(name, after, position, shown, views, changes, connection))
    return position


def follow(tables: Tables, log: Log, target: Target) -> Iterator[int]:
    """Publish to the end of the log, step by step; then, as often as it is asked, what is new."""
    while True:
        last = log.last_position()
        while tables.position < last:
            with tables.filling():
                for _ in catch_up(tables, log.read_arrow, min(last, tables.position + STEP)):
                    pass
            tables.settle(fully=True)
            if tables.position < last:
                publish(tables, target)
        yield publish(tables, target)
        log.wait(tables.taken, WAIT_SECONDS)


def _changes(catalog: str, table: Table, after: int) -> Iterator[Change]:
    for part, columns in table.parts().items():
        since = "position"
        keys: tuple[str, ...] = ()
        if table.kind == "dimension":
            keys = table.entity if part.endswith("_current") else ()
            since = "position" if keys else "position_to"
        elif table.name == "stream":
            keys = ("id",)
        names = ", ".join(quoted(column.name) for column in columns)
        stored = f"{quoted(catalog)}.stored.{quoted(part)}"
        rows = f"SELECT {names} FROM {stored} WHERE {since} > {after}"  # noqa: S608 - our names
        yield Change(part, columns, keys, rows)
