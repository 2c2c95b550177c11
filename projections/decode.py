"""From the bytes of the log to typed columns, strictly: what does not fit is named, not bent."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
from msgspec.structs import astuple

from domain.base import Event
from projections.documents import KIND, NOT_EXACT, fault, held, lifted, read, reader
from projections.fields import (
    JSON,
    JSON_ARRAY,
    JSON_OBJECT,
    FieldType,
    fields_of,
    polars_type,
    streamed,
)
from readmodels.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

TOGETHER = 8_192
"""How many documents are values of Python at once: three copies of each, for a moment."""

FAULTS = {"row": pl.UInt32(), "error": pl.String()}


@dataclass(frozen=True)
class Decoded:
    """Events by class, each a frame of its fields beside `row`, the event's place in the batch.

    Personal fields are left as they are sealed. `faults` says which rows could not be read, and
    why; the words carry no values, for they stand where analysts read.
    """

    frames: dict[type[Event], pl.DataFrame]
    faults: pl.DataFrame


class Decoder:
    """Decodes batches of events; those of older shapes go through their lifts first."""

    def __init__(self, events: Iterable[type[Event]]) -> None:
        self._current = {event.type: event for event in events}
        self._lifted = {old: event for event in self._current.values() for old in event.lifts}
        self._readers = {event: reader(fields_of(event)) for event in self._current.values()}
        self._duckdb = duckdb.connect(":memory:", config={"threads": 1})
        self._duckdb.execute("SET TimeZone = 'UTC'")
        self._duckdb.execute("SET arrow_lossless_conversion = true")  # ids stay 16 bytes

    def another(self) -> Decoder:
        """A decoder like this one, for another thread."""
        twin = copy(self)
        twin._duckdb = self._duckdb.cursor()  # noqa: SLF001 - its own twin
        return twin

    def decode(self, batch: pa.Table) -> Decoded:
        """The events of a batch, by class."""
        # Views of the documents: they stay where they are while they are sorted by type.
        stored = pl.DataFrame({name: batch.column(name) for name in ("type", "data")})
        stored = stored.with_row_index("row")
        readable = _readable(stored["data"])
        faults: dict[int, str] = {}
        if not readable.all():
            faults = dict.fromkeys(stored["row"].filter(~readable), "is not UTF-8")
            stored = stored.filter(readable)
        groups = stored.partition_by("type", as_dict=True, include_key=False)
        found: list[_Read] = []
        for (type_,), group in groups.items():
            event = self._current.get(type_) or self._lifted.get(type_)
            if event is None:
                faults |= dict.fromkeys(group["row"], f"the type {type_} is unknown")
                continue
            for some in group.iter_slices(TOGETHER):
                rows, documents = some["row"], some["data"].to_list()
                if type_ not in self._current:
                    stale = dict(zip(rows.to_list(), documents, strict=True))
                    told = lifted(event.lifts[type_], stale, faults)
                    rows, documents = pl.Series("row", list(told), pl.UInt32), list(told.values())
                found.append(self._read(event, rows, documents, faults))
        self._cast(found, faults)
        frames: dict[type[Event], list[pl.DataFrame]] = {}
        for each in found:
            frames.setdefault(each.event, []).append(each.frame(faults))
        merged = {event: pl.concat(parts) for event, parts in frames.items()}
        return Decoded(
            {event: frame for event, frame in merged.items() if not frame.is_empty()},
            pl.DataFrame(sorted(faults.items()), schema=FAULTS, orient="row"),
        )

    def _read(
        self, event: type[Event], rows: pl.Series, documents: list[bytes], faults: dict[int, str]
    ) -> _Read:
        """Documents of one class as columns, each value of its kind; texts still as texts."""
        fields = fields_of(event)
        values, wrong = read(fields, self._readers[event].decode, documents)
        if wrong:
            faults |= {rows[place]: fault for place, fault in wrong.items()}
            right = [place for place in range(len(rows)) if place not in wrong]
            rows, documents = rows[right], [documents[place] for place in right]
        found = _Read(event, rows, {})
        columns = zip(*map(astuple, values), strict=True) if values else ((),) * len(fields)
        for (name, field), told in zip(fields.items(), columns, strict=True):
            found.columns[name] = column = _column(field, told)
            if opening := _OPENING.get(held(field)):
                fits = column.str.starts_with(opening)
                if int(fits.sum()) + column.null_count() * field.nullable < len(column):
                    for place in (~fits.fill_null(field.nullable)).arg_true():
                        faults[rows[place]] = fault(fields, documents[place])
        return found

    def _cast(self, read: Sequence[_Read], faults: dict[int, str]) -> None:
        """Give texts the types of their columns, exactly.

        All texts of a type are one column, and all types one statement: it takes as long as one.
        """
        places: dict[str, list[tuple[_Read, str]]] = {}
        for each in read:
            for name, field in fields_of(each.event).items():
                if held(field).polars != each.columns[name].dtype:
                    places.setdefault(held(field).sql, []).append((each, name))
        if not places:
            return
        texts = [
            pl.concat([each.columns[n] for each, n in of]).alias(sql) for sql, of in places.items()
        ]
        frames = [text_.to_frame() for text_ in texts]
        given = streamed(pl.concat(frames, how="horizontal_extend"))
        cast = ", ".join(f"{_exactly(sql)} AS {quoted(sql)}" for sql in places)
        frame = pl.DataFrame(self._duckdb.from_arrow(given).project(cast))
        for text_, (sql, of) in zip(texts, places.items(), strict=True):
            values = frame[sql][: len(text_)].cast(polars_type(sql))
            all_fit = values.null_count() == text_.null_count()
            for each, name in of:
                taken, values = values[: len(each.rows)], values[len(each.rows) :]
                if not all_fit:
                    lost = taken.is_null() & each.columns[name].is_not_null()
                    faults |= dict.fromkeys(each.rows.filter(lost), NOT_EXACT)
                each.columns[name] = taken


@dataclass(frozen=True, slots=True)
class _Read:
    """Events of one class as they are read: the rows of the batch, and their columns."""

    event: type[Event]
    rows: pl.Series
    columns: dict[str, pl.Series]

    def frame(self, faults: Mapping[int, str]) -> pl.DataFrame:
        """The columns without those that turned out wrong."""
        frame = pl.DataFrame([self.rows, *(c.alias(n) for n, c in self.columns.items())])
        return frame.filter(~self.rows.is_in(list(faults))) if faults else frame


def _readable(documents: pl.Series) -> pl.Series:
    """Which documents are UTF-8."""
    try:
        documents.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_is_text(document) for document in documents], dtype=pl.Boolean)
    return documents.is_not_null()


def _is_text(document: bytes) -> bool:
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


_OPENING = {JSON_OBJECT: "{", JSON_ARRAY: "["}


def _column(field: FieldType, values: Sequence[Any]) -> pl.Series:
    """Values as a column; what is told as text stays text for now."""
    if held(field).sql == JSON.sql:
        column = pl.Series([str(value, "utf-8") for value in values], dtype=pl.String)
        nothing = column == "null"
        return pl.select(pl.when(~nothing).then(column)).to_series() if nothing.any() else column
    kind = held(field).polars
    return pl.Series(list(values), dtype=kind if kind in KIND else pl.String())


def _exactly(sql: str) -> str:
    """A text as the type it is to have, or NULL if it would be bent.

    Only numbers out of the ordinary, such as 1E+3, are worth the slow comparison.
    """
    value = quoted(sql)
    cast, wide = f"TRY_CAST({value} AS {sql})", f"TRY_CAST({value} AS DECIMAL(38, 18))"
    if not sql.startswith("DECIMAL"):
        return cast
    places = sql.removesuffix(")").split(",")[1]
    plain = f"regexp_full_match({value}, '-?[0-9]+([.][0-9]{{1,{places}}})?')"
    return f"CASE WHEN {plain} OR {cast} = {wide} THEN {cast} END"
