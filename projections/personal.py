"""Personal values: opened on their way into the tables of the second file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import duckdb
import polars as pl

from projections.batch import POISON
from projections.fields import ColumnType, FieldType, fields_of
from projections.fold import AT
from projections.shape import Shape
from readmodels.schema import quoted, text

if TYPE_CHECKING:
    from domain.base import Event

    _Place = tuple[type[Event], str]

Decrypt = Callable[[UUID, str, str, str], str | None]
"""(subject, event id, field, sealed text) -> JSON of the value; None when the key is gone.

Raises ValueError when the text is damaged, or was sealed for another event or field.
"""

Unseal = Callable[[Sequence[UUID]], Decrypt]
"""Has the keys of these subjects at hand, and gives what opens their values."""

SUBJECT = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SUBJECT = slice(len("enc1:"), len("enc1:") + 36)


class Opener:
    """Opens the personal fields that tables show."""

    def __init__(self, shapes: Sequence[Shape], unseal: Unseal) -> None:
        self._unseal = unseal
        self._duckdb = duckdb.connect(":memory:", config={"threads": 1})
        self._duckdb.execute("SET TimeZone = 'UTC'")
        self._shown: dict[type[Event], dict[str, FieldType]] = {}
        for shape in shapes:
            for event, sources in shape.sources.items():
                names = {s.name for s in sources.values() if s.kind == "field"}
                fields = fields_of(event).items()
                personal = {n: f for n, f in fields if f.personal and n in names}
                self._shown[event] = self._shown.get(event, {}) | personal

    def open(
        self, frames: Mapping[type[Event], pl.DataFrame]
    ) -> tuple[dict[type[Event], pl.DataFrame], pl.DataFrame]:
        """The frames with values in place of ciphertexts, and in `field#` what stands for them.

        Second, the values that could not be opened though their key is at hand: they are NULL.
        """
        shown = {event: frames[event] for event in self._shown if event in frames}
        sealed = {(e, name): frame[name] for e, frame in shown.items() for name in self._shown[e]}
        subjects = _subjects(sealed.values())
        decrypt = self._unseal(list(subjects.values()))
        plain: dict[_Place, pl.Series] = {}
        faults = [pl.DataFrame(schema=POISON)]
        for (event, name), texts in sealed.items():
            event_ids = shown[event][f"{AT}event_id"]
            plain[event, name], wrong = _decrypted(texts, event_ids, subjects, decrypt)
            faults += [_fault(shown[event], place, error) for place, error in wrong.items()]
        columns = self._typed(plain, sealed)
        opened = {
            event: pl.DataFrame({c.name: c for c in (*frame.get_columns(), *columns[event])})
            for event, frame in shown.items()
        }
        return opened, pl.concat(faults)

    def _typed(
        self, plain: Mapping[_Place, pl.Series], sealed: Mapping[_Place, pl.Series]
    ) -> dict[type[Event], list[pl.Series]]:
        """Values as typed columns, and digests of what the log has in their place.

        All columns of a type are one, and all types one statement: that takes as long as one.
        """
        places: dict[ColumnType, list[_Place]] = {}
        for event, name in plain:
            places.setdefault(self._shown[event][name].type, []).append((event, name))
        typed: dict[type[Event], list[pl.Series]] = {event: [] for event in self._shown}
        if not places:
            return typed
        texts: list[pl.DataFrame] = []
        wanted: list[str] = []
        for number, (kind, of) in enumerate(places.items()):
            told, stored = (pl.concat([each[place] for place in of]) for each in (plain, sealed))
            texts.append(pl.DataFrame([told.alias(f"p{number}"), stored.alias(f"s{number}")]))
            wanted += [
                f"TRY(json_transform_strict(p{number}, {text(quoted(kind.sql))})) AS p{number}",
                f"md5_number_lower(s{number}) AS s{number}",
            ]
        self._duckdb.register("texts", pl.concat(texts, how="horizontal_extend"))
        result = self._duckdb.execute(f"SELECT {', '.join(wanted)} FROM texts")
        rows = pl.DataFrame(result.to_arrow_table())
        self._duckdb.unregister("texts")
        for number, (kind, of) in enumerate(places.items()):
            values, digests = (
                rows[f"p{number}"].cast(kind.polars),
                rows[f"s{number}"].cast(pl.UInt64),
            )
            begin = 0
            for event, name in of:
                length = len(plain[event, name])
                typed[event] += [
                    values[begin : begin + length].alias(name),
                    digests[begin : begin + length].alias(f"{name}#"),
                ]
                begin += length
        return typed


def _subjects(sealed: Iterable[pl.Series]) -> dict[str, UUID]:
    """Whose values these are, by their ids as text."""
    names = [texts.str.slice(_SUBJECT.start, 36).unique() for texts in sealed]
    found = set(pl.concat(names).drop_nulls()) if names else set()
    return {name: UUID(name) for name in sorted(found) if re.fullmatch(SUBJECT, name)}


def _decrypted(
    sealed: pl.Series, event_ids: pl.Series, subjects: Mapping[str, UUID], decrypt: Decrypt
) -> tuple[pl.Series, dict[int, str]]:
    """The values of one field as JSON, and what is wrong with those that cannot be opened."""
    values: list[str | None] = []
    wrong: dict[int, str] = {}
    for place, (text_, event_id) in enumerate(zip(sealed, event_ids, strict=True)):
        try:
            # The hot line where there are keys: 4 microseconds, most of them the keyring's.
            values.append(
                text_ and decrypt(subjects[text_[_SUBJECT]], event_id, sealed.name, text_)
            )
        except KeyError:
            values.append(None)
            wrong[place] = f"{sealed.name} is not sealed"
        except ValueError as error:
            values.append(None)
            wrong[place] = str(error)
    return pl.Series("plain", values, pl.String), wrong


def _fault(frame: pl.DataFrame, place: int, error: str) -> pl.DataFrame:
    where = frame[place].select(
        pl.col(f"{AT}position").alias("position"),
        pl.col(f"{AT}id").alias("stream_id"),
        pl.col(f"{AT}type").alias("type"),
    )
    return where.with_columns(pl.lit(error).alias("error"))
