"""The fold in columns: the events of many records become versions of their rows, all at once.

A column takes its value from the last event of the same record that assigns it. What is filled is
the number of the row to take it from, not the value: so NULL is a value, and nothing leaks from
one record to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import polars as pl

from projections.shape import Shape
from projections.sources import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from domain.base import Event

EVENT = "_event"
"""Which class of event a row is from, as a number; one more in a row carried from before."""

AT = "@"
"""Stands before the names of the envelope in the frame of an event: fields may have such names."""

_BEGIN = {"valid_from": "effective_at"}


def effective(events: pl.DataFrame, streams: pl.DataFrame) -> pl.DataFrame:
    """`events` with `effective_at`: the latest `occurred_at` of their stream so far.

    `streams` holds `id` and `effective_at` of the streams as they stood before.
    """
    latest = pl.col("occurred_at").cum_max().over("id")
    if not streams.is_empty():
        before = framed({"id": streams["id"], "_before": streams["effective_at"]})
        events = events.join(before, on="id", how="left", maintain_order="left")
        latest = pl.max_horizontal(latest, "_before")
    return events.select(pl.exclude("_before"), latest.alias("effective_at"))


def assigned(shape: Shape, frames: Mapping[type[Event], pl.DataFrame]) -> pl.DataFrame:
    """What events assign to the columns of a table, a row per event; NULL where nothing.

    Columns that follow the state of a dimension are left NULL.
    """
    types = {name: kind.polars for name, kind in shape.types.items()}
    begin = {c.name: _BEGIN.get(c.name, c.name) for c in shape.table.stored if c.name not in types}
    parts = [pl.DataFrame(schema=types)]
    for number, (event, sources) in enumerate(shape.sources.items()):
        if event in frames:
            frame = frames[event]
            columns = {name: frame[AT + source] for name, source in begin.items()}
            columns |= {
                name: _value(frame, source, types[name])
                for name, source in sources.items()
                if source.kind != "state"
            }
            columns[EVENT] = _repeated(number, pl.UInt16(), len(frame))
            parts.append(framed(columns))
    return pl.concat(parts, how="diagonal")


def framed(columns: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Columns under these names.

    Put together, not selected: whatever asks the engine of Polars costs 80 microseconds, and twice
    a turn of the interpreter's lock; a batch of few events would spend most of its time on it.
    """
    return pl.DataFrame([column.alias(name) for name, column in columns.items()])


def _repeated(value: object, kind: pl.DataType, length: int) -> pl.Series:
    return pl.Series([value], dtype=kind).new_from_index(0, length)


def _value(frame: pl.DataFrame, source: Source, kind: pl.DataType) -> pl.Series:
    match source.kind:
        case "field":
            return frame[source.name]
        case "envelope":
            return frame[AT + source.name]
        case _:
            value = source.value.bytes if isinstance(source.value, UUID) else source.value
            return _repeated(value, kind, len(frame))


@dataclass(frozen=True)
class Versions:
    """Whole rows in the order of record and event; `ends` marks the last row of each record."""

    rows: pl.DataFrame
    ends: NDArray[np.bool_]

    def past(self) -> pl.DataFrame:
        """The rows that have a successor, with where it begins on both axes of time."""
        places = np.flatnonzero(~self.ends)
        follows = self.rows[list(_FOLLOWS)][_places(places + 1)]
        named = {name: follows[column] for column, name in _FOLLOWS.items()}
        return self.rows[_places(places)].hstack(framed(named))

    def current(self) -> pl.DataFrame:
        """The last row of each record."""
        return self.rows[_places(np.flatnonzero(self.ends))]


_FOLLOWS = {"valid_from": "valid_to", "position": "position_to"}


def _places(numbers: NDArray[Any]) -> pl.Series:
    return pl.Series(numbers.astype(np.uint32))


def fill(shape: Shape, carried: pl.DataFrame, new: pl.DataFrame) -> Versions:
    """Rows as they stand after each event, from the rows carried and what the events assign."""
    none = _repeated(len(shape.sources), pl.UInt16(), len(carried))
    carried = carried.hstack([none.alias(EVENT)])
    rows = pl.concat([carried, new], how="diagonal").sort(*shape.table.entity, "position")
    begins = np.ones(len(rows) + 1, dtype=bool)
    begins[1:-1] = False
    for name in shape.table.entity:
        begins[1:-1] |= (rows[name][1:] != rows[name][:-1]).to_numpy()
    events = rows[EVENT].to_numpy()
    filled = {name: rows[name] for name in rows.columns}
    for numbers, columns in shape.columns_by_events.items():
        says = np.zeros(len(shape.sources) + 1, dtype=bool)
        says[list(numbers)] = True
        here = np.where(begins[:-1] | says[events], np.arange(len(rows)), 0)
        # The hot line of the fold: one gather for each column.
        taken = rows[columns][_places(np.maximum.accumulate(here))]
        filled |= {name: taken[name] for name in columns}
    return Versions(framed(filled), begins[1:])


def facts(shape: Shape, new: pl.DataFrame, states: pl.DataFrame | None) -> pl.DataFrame:
    """Rows of a fact table; `states` are the rows of the dimension as the events left them."""
    taken = {
        name: [
            (number, sources[name].name)
            for number, sources in enumerate(shape.sources.values())
            if name in sources and sources[name].kind == "state"
        ]
        for name in shape.types
    }
    taken = {name: cases for name, cases in taken.items() if cases}
    if not taken or states is None:
        return new
    needed = sorted({column for cases in taken.values() for _, column in cases})
    held = framed({"position": states["position"]} | {AT + c: states[c] for c in needed})
    joined = new.lazy().join(held.lazy(), on="position", how="left")
    return joined.with_columns(
        pl.coalesce(
            *(pl.when(pl.col(EVENT) == number).then(AT + column) for number, column in cases), name
        ).alias(name)
        for name, cases in taken.items()
    ).collect()
