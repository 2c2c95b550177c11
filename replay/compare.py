"""Two states of one table side by side: where do they first part?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from readmodels.digest import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from readmodels.schema import Table


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where a table is not what the log says."""

    table: str
    key: Mapping[str, Any]
    position: int
    column: str | None
    """The cell that differs; None when a row is missing, or is one too many."""
    kept: Any
    rebuilt: Any
    rows: int
    """How many rows differ."""

    def __str__(self) -> str:
        row = ", ".join(f"{name} {value}" for name, value in self.key.items())
        where = f"table {self.table}, row {row} (position {self.position})"
        if self.column is not None:
            return f"{where}: {self.column} is {self.kept!r}, the log says {self.rebuilt!r}"
        if self.kept is None:
            return f"{where}: the row is missing"
        return f"{where}: the row does not follow from the log, or stands there twice"


def first_difference(table: Table, kept: pl.DataFrame, rebuilt: pl.DataFrame) -> Difference | None:
    """Where the rows of a table first differ; None when they are the same, in whatever order."""
    key = key_of(table)
    surplus, missing = _beyond(kept, rebuilt, key), _beyond(rebuilt, kept, key)
    first = pl.concat([surplus.head(1), missing.head(1)]).sort("position", *key).head(1)
    if first.is_empty():
        return None
    at = {name: first[name][0] for name in key}
    position, rows = first["position"][0], max(len(surplus), len(missing))
    ours, theirs = _row(surplus, at), _row(missing, at)
    if ours is None or theirs is None:
        return Difference(table.name, at, position, None, ours, theirs, rows)
    column = next(name for name in ours if ours[name] != theirs[name])
    return Difference(table.name, at, position, column, ours[column], theirs[column], rows)


def _beyond(of: pl.DataFrame, over: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The rows that one side has beyond the other, counted: one that stands twice is beyond one."""
    numbered = [
        side.with_columns(pl.int_range(pl.len()).over(side.columns).alias("_nth"))
        for side in (of, over)
    ]
    beyond = numbered[0].join(numbered[1], on=numbered[0].columns, how="anti", nulls_equal=True)
    return beyond.drop("_nth").sort("position", *key)


def _row(rows: pl.DataFrame, at: Mapping[str, Any]) -> dict[str, Any] | None:
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.lit(value)) for name, value in at.items())
    found = rows.filter(same).head(1)
    return found.row(0, named=True) if len(found) else None
