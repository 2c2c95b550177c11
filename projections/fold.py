"""The fold in columns: the events of many records become versions of their rows, all at once.

A column takes its value from the last event of the same record that assigns it. What is filled is
the number of the row to take it from, not the value: so NULL is a value, and nothing leaks from
one record to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import polars as pl

from projections.shape import Shape
from projections.sources import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.base import Event

EVENT = "_event"
"""Which class of event a row is from, as a number; NULL in a row carried from before."""

AT = "@"
"""Stands before the names of the envelope in the frame of an event: fields may have such names."""

_BEGIN = {"valid_from": "effective_at"}


def effective(events: pl.DataFrame, streams: pl.DataFrame) -> pl.DataFrame:
    """`events` with `effective_at`: the latest `occurred_at` of their stream so far.

    `streams` holds `id` and `effective_at` of the streams as they stood before.
    """
    before = streams.select("id", pl.col("effective_at").alias("_before"))
    latest = pl.max_horizontal(pl.col("occurred_at").cum_max().over("id"), "_before")
    joined = events.join(before, on="id", how="left", maintain_order="left")
    return joined.with_columns(latest.alias("effective_at")).drop("_before")


def assigned(shape: Shape, frames: Mapping[type[Event], pl.DataFrame]) -> pl.DataFrame:
    """What events assign to the columns of a table, a row per event; NULL where nothing.

    Columns that follow the state of a dimension are left NULL.
    """
    types = {name: kind.polars for name, kind in shape.types.items()}
    begin = {c.name: _BEGIN.get(c.name, c.name) for c in shape.table.stored if c.name not in types}
    parts = [
        frames[event].select(
            pl.lit(number, pl.UInt16).alias(EVENT),
            *(pl.col(AT + source).alias(name) for name, source in begin.items()),
            *(
                _value(source, types[name]).alias(name)
                for name, source in sources.items()
                if source.kind != "state"
            ),
        )
        for number, (event, sources) in enumerate(shape.sources.items())
        if event in frames
    ]
    return pl.concat([pl.DataFrame(schema=types), *parts], how="diagonal")


def _value(source: Source, kind: pl.DataType) -> pl.Expr:
    match source.kind:
        case "field":
            return pl.col(source.name)
        case "envelope":
            return pl.col(AT + source.name)
        case _:
            value = str(source.value) if isinstance(source.value, UUID) else source.value
            return pl.lit(value, kind)


@dataclass(frozen=True)
class Versions:
    """Whole rows in the order of record and event; `ends` marks the last row of each record."""

    rows: pl.DataFrame
    ends: pl.Series

    def past(self) -> pl.DataFrame:
        """The rows that have a successor, with where it begins on both axes of time."""
        follows = [
            pl.col("valid_from").shift(-1).alias("valid_to"),
            pl.col("position").shift(-1).alias("position_to"),
        ]
        return self.rows.lazy().with_columns(follows).filter(~self.ends).collect()

    def current(self) -> pl.DataFrame:
        """The last row of each record."""
        return self.rows.filter(self.ends)


def fill(shape: Shape, carried: pl.DataFrame, new: pl.DataFrame) -> Versions:
    """Rows as they stand after each event, from the rows carried and what the events assign."""
    rows = pl.concat([carried, new], how="diagonal").sort(*shape.table.entity, "position")
    differs = (pl.col(name).ne_missing(pl.col(name).shift()) for name in shape.table.entity)
    begins = rows.select(pl.any_horizontal(differs)).to_series().to_numpy()
    events = rows[EVENT].fill_null(len(shape.sources)).to_numpy()
    filled: list[pl.Expr] = []
    for numbers, columns in shape.columns_by_events.items():
        says = np.zeros(len(shape.sources) + 1, dtype=bool)
        says[list(numbers)] = True
        here = np.where(begins | says[events], np.arange(len(rows), dtype=np.uint32), 0)
        # The hot line of the fold: one gather for each column.
        filled.append(pl.col(columns).gather(pl.Series(np.maximum.accumulate(here))))
    ends = pl.Series(np.append(begins[1:], True))
    return Versions(rows.with_columns(filled), ends)


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
    held = states.select("position", *(pl.col(c).alias(f"{AT}{c}") for c in needed))
    joined = new.join(held, on="position", how="left")
    return joined.with_columns(
        pl.coalesce(
            *(pl.when(pl.col(EVENT) == number).then(AT + column) for number, column in cases), name
        ).alias(name)
        for name, cases in taken.items()
    )
