"""Personal values: opened on their way into the tables of the second file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING
from uuid import UUID

import duckdb
import polars as pl

from projections.batch import POISON, ROW
from projections.fields import JSON, ColumnType, FieldType, fields_of, streamed
from projections.fold import AT, framed
from projections.shape import Shape
from readmodels.schema import quoted, text

if TYPE_CHECKING:
    from domain.base import Event

    _Place = tuple[type[Event], str]

Open = Callable[[str, str, str], str | None]
"""(event id, field, sealed text) -> JSON of the value; None when the key is gone.

Raises ValueError when the text is damaged, or was sealed for another event or field.
"""

Unseal = Callable[[Sequence[UUID]], Callable[[UUID], Open]]
"""Has the keys of these subjects at hand, and gives for each what opens its values."""

IS_SUBJECT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_SUBJECT = len("enc1:")
_WHERE = {"position": "position", "stream_id": "id", "type": "type", "event_id": "event_id"}
_OPENED = ("subject", "place", "event_id", "field", "text")
_HEX = pl.col("event_id").bin.encode("hex")
_as_text = pl.concat_str(
    [
        _HEX.str.slice(begin, length)
        for begin, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))
    ],
    separator="-",
)


class Opener:
    """Opens the personal fields that tables show."""

    def __init__(self, shapes: Sequence[Shape], unseal: Unseal) -> None:
        self._unseal = unseal
        self._duckdb = duckdb.connect(":memory:", config={"threads": 1})
        self._duckdb.execute("SET TimeZone = 'UTC'")
        self._duckdb.execute("SET arrow_lossless_conversion = true")  # ids stay 16 bytes
        self._shown: dict[type[Event], dict[str, FieldType]] = {}
        for shape in shapes:
            for event, sources in shape.sources.items():
                names = {s.name for s in sources.values() if s.kind == "field"}
                fields = fields_of(event).items()
                personal = {n: f for n, f in fields if f.personal and n in names}
                self._shown[event] = self._shown.get(event, {}) | personal

    def another(self) -> Opener:
        """One like this, for another thread."""
        twin = copy(self)
        twin._duckdb = self._duckdb.cursor()  # noqa: SLF001 - its own twin
        return twin

    def open(
        self, frames: Mapping[type[Event], pl.DataFrame]
    ) -> tuple[dict[type[Event], pl.DataFrame], pl.DataFrame]:
        """Beside the row of an event its values, and in `field#` what stands for the ciphertexts.

        Second, the values that could not be opened though their key is at hand: they are NULL.
        """
        shown = {event: frames[event] for event in self._shown if event in frames}
        kinds = {(event, n): f.type for event in shown for n, f in self._shown[event].items()}
        columns = {event: {ROW: frame[ROW]} for event, frame in shown.items()}
        if not kinds:
            return {e: pl.DataFrame(of) for e, of in columns.items()}, pl.DataFrame(schema=POISON)
        # All values are one column, those of a type side by side: it takes as long as for one.
        places = sorted(kinds, key=lambda place: kinds[place].sql)
        sealed = pl.concat([_sealed(shown[event], name) for event, name in places])
        plain, faults = self._decrypted(sealed)
        lengths: dict[ColumnType, int] = {}
        for event, name in places:
            kind = kinds[event, name]
            lengths[kind] = lengths.get(kind, 0) + len(shown[event])
        typed, digests = self._typed(plain, sealed["text"], lengths)
        for event, name in places:
            kind, length = kinds[event, name], len(shown[event])
            columns[event] |= {name: typed[kind][:length], f"{name}#": digests[:length]}
            typed[kind], digests = typed[kind][length:], digests[length:]
        return {event: pl.DataFrame(of) for event, of in columns.items()}, faults

    def _decrypted(self, sealed: pl.DataFrame) -> tuple[pl.Series, pl.DataFrame]:
        """Values as JSON, and what is wrong with those that cannot be opened."""
        some = (
            sealed.with_row_index("place")
            .lazy()
            .filter(pl.col("text").is_not_null())
            .with_columns(subject=pl.col("text").str.slice(_SUBJECT, 36), event_id=_as_text)
            # What is of one person together: what opens it is made once.
            .sort(pl.col("subject").hash())
            .collect()
        )
        subjects = _subjects(some["subject"])
        opens = self._unseal(list(subjects.values()))
        values: list[str | None] = [None] * len(sealed)
        wrong: dict[int, str] = {}
        columns = (some[name].to_list() for name in _OPENED)
        for subject, of in groupby(zip(*columns, strict=True), itemgetter(0)):
            opened = opens(subjects[subject]) if subject in subjects else _unsealed
            for _, place, event_id, field, text_ in of:
                try:
                    # The hot line where there are keys: 1.3 microseconds, 0.5 of them the cipher's.
                    values[place] = opened(event_id, field, text_)
                except ValueError as error:
                    wrong[place] = str(error)
        faulty = sealed[list(wrong)].to_dict()
        faulty["error"] = pl.Series(wrong.values(), dtype=pl.String)
        return pl.Series(values, dtype=pl.String), framed({name: faulty[name] for name in POISON})

    def _typed(
        self, plain: pl.Series, sealed: pl.Series, lengths: Mapping[ColumnType, int]
    ) -> tuple[dict[ColumnType, pl.Series], pl.Series]:
        """Values as columns of so many of each type, and digests of what the log has for them."""
        texts = [sealed.alias("sealed").to_frame()]
        for kind, length in lengths.items():
            texts.append(plain[:length].alias(kind.sql).to_frame())
            plain = plain[length:]
        given = streamed(pl.concat(texts, how="horizontal_extend"))
        wanted = [f"{_transformed(kind)} AS {quoted(kind.sql)}" for kind in lengths]
        wanted.append("md5_number_lower(sealed) AS sealed")
        rows = pl.DataFrame(self._duckdb.from_arrow(given).project(", ".join(wanted)))
        typed = {kind: rows[kind.sql][:n].cast(kind.polars) for kind, n in lengths.items()}
        return typed, rows["sealed"].cast(pl.UInt64)


def _unsealed(_event_id: str, field: str, _text: str) -> None:
    raise ValueError(f"{field} is not sealed")


def _sealed(frame: pl.DataFrame, field: str) -> pl.DataFrame:
    """The values of a field as the log has them, and where they stand."""
    columns = {name: frame[f"{AT}{of}"] for name, of in _WHERE.items()}
    named = pl.Series([field]).new_from_index(0, len(frame))
    return pl.DataFrame(columns | {"field": named, "text": frame[field]})


def _subjects(names: pl.Series) -> dict[str, UUID]:
    """Whose values these are, by their ids as text."""
    return {name: UUID(name) for name in names.unique().to_list() if IS_SUBJECT(name)}


def _transformed(kind: ColumnType) -> str:
    """JSON as a value of a type; NULL if it is none."""
    value = f"TRY(json_transform_strict({quoted(kind.sql)}, {text(quoted(kind.sql))}))"
    return f"{value}::VARCHAR" if kind.sql == JSON.sql else value
