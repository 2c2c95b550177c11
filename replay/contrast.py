"""One report of two read sides, row by row: what differs, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from readmodels.macros import macros
from readmodels.units import ordinal, unit_of
from replay.base import ReplayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from readmodels.base import Database
    from readmodels.query import Query

BESIDE = "\N{ZERO WIDTH SPACE}"
"""Ends the names of the columns of the other side while both stand side by side."""

GIVEN = {"since", "as_of", "known_at"}
"""What a report is told at most that is compared."""

DIGITS = 9


class ReportUnknown(ReplayError):
    """There is no such report, or it needs to be told more than a moment."""


@dataclass(frozen=True, slots=True)
class Differing:
    """A row of a report that says something else; of a row that is not there, None."""

    key: Mapping[str, Any]
    was: Mapping[str, Any] | None
    would_be: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """A report as it is, and as it would be."""

    report: str
    description: str
    rows: int
    """How many rows it has, both sides taken together."""
    differing: tuple[Differing, ...]


def reports(names: Sequence[str]) -> list[Query]:
    """Reports by name; raises ReportUnknown."""
    from readmodels.catalog import queries  # noqa: PLC0415 - the parser behind it is slow to load

    plain = {name for name, macro in macros().items() if set(macro.parameters) <= GIVEN}
    known = {name: query for name, query in queries().items() if name in plain}
    if strange := [name for name in names if name not in known]:
        listed = ", ".join(sorted(known))
        raise ReportUnknown(f"no report {', '.join(strange)} can be compared; there are {listed}")
    return [known[name] for name in dict.fromkeys(names)]


def contrast(
    query: Query, base: Database, other: Database, moment: datetime, since: datetime | None
) -> Contrast:
    """The rows of a report that differ, in its own order."""
    sides = [asked(query, database, moment, since) for database in (base, other)]
    measures = [name for name in sides[0].columns if _is_measure(query, name)]
    keys = _keys(query, sides, measures)
    was, would_be = (_numbered(side, keys) for side in sides)
    both = was.join(
        would_be, on=[*keys, "_nth"], how="full", coalesce=True, nulls_equal=True, suffix=BESIDE
    )
    # A row that would not be there stands behind the one before it.
    behind = both.sort("_row", nulls_last=True).with_columns(
        pl.col(f"_row{BESIDE}").forward_fill().alias("_place")
    )
    both = behind.sort("_place", f"_row{BESIDE}", "_row", nulls_last=[False, True, True])
    differing = tuple(_differing(both, keys, measures))
    return Contrast(query.name, query.description, len(both), differing)


def asked(
    query: Query, database: Database, moment: datetime, since: datetime | None
) -> pl.DataFrame:
    """A report at a moment; after `since`, if it is one that can be told from when on."""
    given: dict[str, Any] = {"as_of": moment}
    if "since" in macros()[query.name].parameters:
        given["since"] = since
    arguments = ", ".join(f"{name} := ${name}" for name in given)
    return database.query(f"FROM {query.name}({arguments})", given)


def _is_measure(query: Query, column: str) -> bool:
    unit = unit_of(query.columns[column])
    return bool(unit) and unit != ordinal.name


def _keys(query: Query, sides: Sequence[pl.DataFrame], measures: Sequence[str]) -> list[str]:
    """What tells rows apart; places in an order only where nothing else does."""
    every = [name for name in sides[0].columns if name not in measures]
    named = [name for name in every if unit_of(query.columns[name]) != ordinal.name]
    unique = all(not side.select(named).is_duplicated().any() for side in sides) if named else False
    return named if unique else every


def _numbered(side: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Rows with their places; those whose keys are the same are told apart by their number."""
    nth = pl.int_range(pl.len()).over(keys) if keys else pl.int_range(pl.len())
    return side.with_row_index("_row").with_columns(nth.alias("_nth"))


def _differing(
    both: pl.DataFrame, keys: Sequence[str], measures: Sequence[str]
) -> Iterator[Differing]:
    for row in both.iter_rows(named=True):
        was = {name: _figure(row[name]) for name in measures}
        would_be = {name: _figure(row[name + BESIDE]) for name in measures}
        sides = row["_row"] is not None, row["_row" + BESIDE] is not None
        if was != would_be or not all(sides):
            key = {name: row[name] for name in keys}
            yield Differing(key, was if sides[0] else None, would_be if sides[1] else None)


def _figure(value: Any) -> Any:
    """A number without the digits that depend on the order in which others were added up."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
