"""From the bytes of the log to typed columns, strictly: what does not fit is named, not bent."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import orjson
import polars as pl
import pyarrow as pa

from domain.base import Event
from projections.fields import VARCHAR, ColumnType, FieldType, fields_of
from readmodels.schema import quoted, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FAULTS = {"row": pl.UInt32(), "error": pl.String()}
NO_FAULTS = pl.DataFrame(schema=FAULTS)


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
        self._sql = {event: _decoding(fields_of(event)) for event in self._current.values()}
        self._duckdb = duckdb.connect(":memory:", config={"threads": 1})
        self._duckdb.execute("SET TimeZone = 'UTC'")

    def another(self) -> Decoder:
        """A decoder like this one, for another thread."""
        twin = copy(self)
        twin._duckdb = self._duckdb.cursor()  # noqa: SLF001 - its own twin
        return twin

    def decode(self, batch: pa.Table) -> Decoded:
        """The events of a batch, by class."""
        # Views of the documents: they stay where they are while they are sorted by type.
        stored_rows = pl.DataFrame({name: batch.column(name) for name in ("type", "data")})
        groups = stored_rows.with_row_index("_row").partition_by("type", as_dict=True)
        frames: dict[type[Event], list[pl.DataFrame]] = {}
        faults = [NO_FAULTS]
        for (stored,), group in groups.items():
            raw = group.select("_row", pl.col("data").alias("_data")).to_arrow(
                compat_level=pl.CompatLevel.newest()
            )
            event = self._current.get(stored) or self._lifted.get(stored)
            if event is None:
                faults.append(_faulty(raw, f"the type {stored} is unknown"))
                continue
            if stored not in self._current:
                raw, failed = _lift(event, stored, raw)
                faults.append(failed)
            frame, failed = self._typed(event, raw)
            if not frame.is_empty():
                frames.setdefault(event, []).append(frame)
            faults.append(failed)
        merged = {event: pl.concat(parts) for event, parts in frames.items()}
        return Decoded(merged, pl.concat(faults).sort("row"))

    def _typed(self, event: type[Event], raw: pa.Table) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of one class as columns, and those that do not fit."""
        fields = fields_of(event)
        self._duckdb.register("raw", raw)
        # The hot line of a rebuild.
        frame = pl.DataFrame(self._duckdb.execute(self._sql[event]).to_arrow_table())
        self._duckdb.unregister("raw")
        shapes, whole = frame["_kinds"], frame["_fits"]
        columns = frame.drop("_kinds", "_fits").rename({"_row": "row"})
        held = {name: _held(field).polars for name, field in fields.items()}
        schema = pl.Schema({"row": pl.UInt32(), **held})
        if columns.schema != schema:
            columns = columns.cast(schema)
        misshapen = [shape for shape in shapes.unique() if not _fitting(shape, fields)]
        if not misshapen and whole.all():
            return columns, NO_FAULTS
        fits = whole & ~shapes.is_in(misshapen)
        wrong = columns.filter(~fits).select(pl.col("row").alias("_row"))
        bad = pl.DataFrame(raw).join(wrong, on="_row", how="semi")
        errors = pl.Series("error", [_fault(fields, stored) for stored in bad["_data"]], pl.String)
        return columns.filter(fits), bad.select(pl.col("_row").alias("row")).with_columns(errors)


def _held(field: FieldType) -> ColumnType:
    """What stands in the log: of a personal field its ciphertext."""
    return VARCHAR if field.personal else field.type


def _decoding(fields: Mapping[str, FieldType]) -> str:
    """The statement that reads one class of events, each row judged for itself.

    Each document is parsed three times: for the kinds of its values (of the whole first), for the
    number of its fields, and for the values.
    """
    held = {name: _held(field).sql for name, field in fields.items()}
    paths = ", ".join(text(path) for path in ["$", *(f"$.{quoted(name)}" for name in fields)])
    parsed = {n: "VARCHAR" if sql.startswith("DECIMAL") else sql for n, sql in held.items()}
    values = f"TRY(json_transform_strict(t, {text(orjson.dumps(parsed).decode())}))"
    columns = [
        f"TRY_CAST(v.{quoted(n)} AS {sql}) AS {quoted(n)}"
        if sql.startswith("DECIMAL")
        else f"v.{quoted(n)} AS {quoted(n)}"
        for n, sql in held.items()
    ]
    exact = [_exact(f"v.{quoted(n)}", sql) for n, sql in held.items() if sql.startswith("DECIMAL")]
    fits = " AND ".join(["v IS NOT NULL", f"fields = {len(fields)}", *exact])
    return f"""
        WITH parsed AS (
          SELECT _row, TRY(len(json_keys(t))) AS fields,
            array_to_string(TRY(json_type(t, [{paths}])), ',') AS _kinds,
            {values if fields else "{'none': 0}"} AS v
          FROM (SELECT _row, TRY(decode(_data)) AS t FROM raw)
        )
        SELECT _row, _kinds, coalesce({fits}, false) AS _fits{"".join(f", {c}" for c in columns)}
        FROM parsed"""


def _exact(value: str, sql: str) -> str:
    """Whether a number, as text, is in a DECIMAL what it is in the log, and not rounded.

    Only text out of the ordinary, such as 1E+3, is worth the slow comparison.
    """
    places = sql.removesuffix(")").split(",")[1]
    plain = f"regexp_full_match({value}, '-?[0-9]+([.][0-9]{{1,{places}}})?')"
    cast, wide = f"TRY_CAST({value} AS {sql})", f"TRY_CAST({value} AS DECIMAL(38, 18))"
    exact = f"CASE WHEN {plain} THEN {cast} IS NOT NULL ELSE coalesce({cast} = {wide}, false) END"
    return f"({value} IS NULL OR {exact})"


def _fitting(shape: str | None, fields: Mapping[str, FieldType]) -> bool:
    """Whether a document of this shape, the kinds of its values, is an event of these fields."""
    whole, *kinds = (shape or "").split(",")
    return (
        whole == "OBJECT"
        and len(kinds) == len(fields)
        and all(
            kind in _held(field).json or (field.nullable and kind == "NULL")
            for kind, field in zip(kinds, fields.values(), strict=True)
        )
    )


def _fault(fields: Mapping[str, FieldType], stored: bytes) -> str:
    """In words, what is wrong with an event; read again in Python, for faults are rare."""
    try:
        pairs = json.loads(stored.decode(), object_pairs_hook=tuple)
    except UnicodeDecodeError:
        return "is not UTF-8"
    except ValueError:
        return "is not JSON"
    if not isinstance(pairs, tuple):
        return "is not a JSON object"
    names = [name for name, _ in pairs]
    for found, wrong in (
        (sorted(set(fields) - set(names)), "lacks"),
        (sorted({name for name in names if name not in fields}), "has the unknown"),
        (sorted({name for name in names if names.count(name) > 1}), "repeats"),
    ):
        if found:
            return f"{wrong} {', '.join(found)}"
    return _misfit(fields, dict(pairs))


def _misfit(fields: Mapping[str, FieldType], values: dict[str, Any]) -> str:
    for name, value in values.items():
        kind = _KINDS[type(value)]
        if value is None and not fields[name].nullable:
            return f"has no {name}"
        if value is not None and kind not in _held(fields[name]).json:
            return f"has a {kind} in {name}"
    return "has a value that its column cannot hold exactly"


_KINDS = {
    str: "VARCHAR",
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    tuple: "OBJECT",
    list: "ARRAY",
    type(None): "NULL",
}


def _lift(event: type[Event], stored: str, raw: pa.Table) -> tuple[pa.Table, pl.DataFrame]:
    """Rows of an older shape in the shape of today, and those that could not be lifted."""
    rows: list[int] = []
    lifted: list[bytes] = []
    faults: list[tuple[int, str]] = []
    for row, data in zip(raw["_row"].to_pylist(), raw["_data"].to_pylist(), strict=True):
        try:
            lifted.append(orjson.dumps(event.lifts[stored](orjson.loads(data))))
            rows.append(row)
        except Exception as error:  # noqa: BLE001 - any failure of a lift makes a poisoned event
            faults.append((row, f"cannot be lifted: {type(error).__name__}"))
    table = pa.table({"_row": pa.array(rows, pa.uint32()), "_data": pa.array(lifted, pa.binary())})
    return table, pl.DataFrame(faults, schema=FAULTS, orient="row")


def _faulty(raw: pa.Table, error: str) -> pl.DataFrame:
    rows = pl.Series("row", raw["_row"], pl.UInt32())
    return pl.DataFrame({"row": rows}).with_columns(pl.lit(error).alias("error"))
