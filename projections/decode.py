"""From the bytes of the log to typed columns, strictly: what does not fit is named, not bent."""

from __future__ import annotations

import json
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

    def decode(self, batch: pa.Table) -> Decoded:
        """The events of a batch, by class."""
        types = pl.DataFrame({"type": pl.Series(batch.column("type"))}).with_row_index("row")
        frames: dict[type[Event], list[pl.DataFrame]] = {}
        faults = [NO_FAULTS]
        for (stored,), group in types.partition_by("type", as_dict=True).items():
            rows = group["row"].to_arrow()
            raw = pa.table({"_row": rows, "_data": batch.column("data").take(rows)})
            event = self._current.get(stored) or self._lifted.get(stored)
            if event is None:
                faults.append(_faulty(raw, f"the type {stored} is unknown"))
                continue
            if stored not in self._current:
                raw, failed = _lift(event, stored, raw)
                faults.append(failed)
            frame, failed = self._typed(event, raw)
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
        fits = frame["_fits"] & _kinds_fit(frame["_kinds"], fields)
        columns = frame.select(
            pl.col("_row").alias("row"),
            *(pl.col(name).cast(_held(field).polars) for name, field in fields.items()),
        )
        if fits.all():
            return columns, NO_FAULTS
        faults = pl.DataFrame(raw).join(columns.filter(~fits), left_on="_row", right_on="row", how="semi")
        errors = [_fault(fields, bytes_) for bytes_ in faults["_data"]]
        return columns.filter(fits), faults.select(
            pl.col("_row").alias("row"), pl.Series("error", errors, pl.String())
        )


def _held(field: FieldType) -> ColumnType:
    """What stands in the log: of a personal field its ciphertext."""
    return VARCHAR if field.personal else field.type


def _decoding(fields: Mapping[str, FieldType]) -> str:
    """The statement that reads one class of events: each document is parsed three times, for the
    kind of its values, the names of its fields, and the values; each row is judged for itself.
    """
    held = {name: _held(field).sql for name, field in fields.items()}
    paths = ", ".join(text(f'$."{name}"') for name in fields)
    parsed = {n: "VARCHAR" if sql.startswith("DECIMAL") else sql for n, sql in held.items()}
    values = f"TRY(json_transform_strict(t, {text(orjson.dumps(parsed).decode())}))"
    casts = [f"v.{quoted(n)}::{sql} AS {quoted(n)}" for n, sql in held.items()]
    fits = [f"len(names) = {len(fields)}"]
    for name, sql in held.items():
        if sql.startswith("DECIMAL"):
            casts[list(held).index(name)] = f"TRY_CAST(v.{quoted(name)} AS {sql}) AS {quoted(name)}"
            fits.append(
                f"(v.{quoted(name)} IS NULL OR coalesce(TRY_CAST(v.{quoted(name)} AS {sql})"
                f" = TRY_CAST(v.{quoted(name)} AS DECIMAL(38, 18)), false))"
            )
    return f"""
        WITH opened AS MATERIALIZED (SELECT _row, TRY(decode(_data)) AS t FROM raw),
        parsed AS MATERIALIZED (
          SELECT _row, TRY(json_keys(t)) AS names, TRY(json_type(t)) AS whole,
            {f"TRY(json_type(t, [{paths}]))" if fields else "[]::VARCHAR[]"} AS _kinds,
            {values if fields else "{'none': 0}"} AS v
          FROM opened
        )
        SELECT _row, _kinds, coalesce(whole = 'OBJECT' AND v IS NOT NULL AND {" AND ".join(fits)},
          false) AS _fits{"".join(f", {cast}" for cast in casts)}
        FROM parsed"""


def _kinds_fit(kinds: pl.Series, fields: Mapping[str, FieldType]) -> pl.Series:
    """Whether every value is of a JSON type its field may have; judged once per shape seen."""
    shapes = kinds.list.join(",", ignore_nulls=False)
    allowed = [
        _held(field).json | {"NULL"} if field.nullable else _held(field).json
        for field in fields.values()
    ]
    fit = [
        shape
        for shape in shapes.unique().drop_nulls()
        if all(kind in may for kind, may in zip(shape.split(","), allowed, strict=False))
    ]
    return shapes.is_in(fit).fill_null(value=False)


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
