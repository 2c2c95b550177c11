"""Personal values: opened on their way into the tables of the second file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import duckdb
import polars as pl

from projections.batch import POISON
from projections.fields import FieldType, fields_of
from projections.fold import AT
from projections.shape import Shape
from readmodels.schema import quoted, text

if TYPE_CHECKING:
    from domain.base import Event

Decrypt = Callable[[UUID, UUID, str, str], str | None]
"""(subject, event id, field, sealed text) -> JSON of the value; None when the key is gone.

Raises ValueError when the text is damaged, or was sealed for another event or field.
"""

Unseal = Callable[[Sequence[UUID]], Decrypt]
"""Has the keys of these subjects at hand, and gives what opens their values."""

SEALED = r"^enc1:([0-9a-f-]{36}):"
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
        subjects = _subjects(shown, self._shown)
        decrypt = self._unseal(list(subjects.values()))
        plain: dict[tuple[type[Event], str], pl.DataFrame] = {}
        faults = [pl.DataFrame(schema=POISON)]
        for event, frame in shown.items():
            event_ids = [UUID(event_id) for event_id in frame[f"{AT}event_id"]]
            for name in self._shown[event]:
                values, wrong = _decrypted(frame[name], event_ids, subjects, decrypt)
                texts = pl.Series("plain", values, pl.String)
                plain[event, name] = pl.DataFrame([texts, frame[name].alias("sealed")])
                faults += [_fault(frame, place, error) for place, error in wrong.items()]
        typed = self._typed(plain)
        opened = {
            event: frame.with_columns(
                column for name in self._shown[event] for column in typed[event, name]
            )
            for event, frame in shown.items()
        }
        return opened, pl.concat(faults)

    def _typed(
        self, plain: Mapping[tuple[type[Event], str], pl.DataFrame]
    ) -> dict[tuple[type[Event], str], list[pl.Series]]:
        """Values as typed columns, and digests of what the log has in their place.

        All columns of one type at once: that takes as long as one.
        """
        typed: dict[tuple[type[Event], str], list[pl.Series]] = {}
        kinds = {self._shown[event][name].type for event, name in plain}
        for kind in sorted(kinds, key=str):
            columns = [(e, n) for e, n in plain if self._shown[e][n].type == kind]
            self._duckdb.register("texts", pl.concat([plain[c] for c in columns]).to_arrow())
            result = self._duckdb.execute(
                f"SELECT TRY(json_transform_strict(plain, {text(quoted(kind.sql))})) AS value, "
                "md5_number_lower(sealed) AS digest FROM texts"
            )
            rows = pl.DataFrame(result.to_arrow_table())
            rows = rows.cast(pl.Schema({"value": kind.polars, "digest": pl.UInt64()}))
            for event, name in columns:
                taken, rows = rows[: len(plain[event, name])], rows[len(plain[event, name]) :]
                typed[event, name] = [taken["value"].alias(name), taken["digest"].alias(f"{name}#")]
        return typed


def _subjects(
    frames: Mapping[type[Event], pl.DataFrame], shown: Mapping[type[Event], Mapping[str, FieldType]]
) -> dict[str, UUID]:
    """Whose values the frames hold, by their ids as text."""
    sealed = [frame[name] for event, frame in frames.items() for name in shown[event]]
    subjects = [series.str.extract(SEALED).drop_nulls().unique() for series in sealed]
    found = pl.concat(subjects).unique().sort() if subjects else ()
    return {subject: UUID(subject) for subject in found}


def _decrypted(
    sealed: pl.Series, event_ids: list[UUID], subjects: Mapping[str, UUID], decrypt: Decrypt
) -> tuple[list[str | None], dict[int, str]]:
    """The values of one field as JSON, and what is wrong with those that cannot be opened."""
    values: list[str | None] = []
    wrong: dict[int, str] = {}
    for place, (text_, event_id) in enumerate(zip(sealed, event_ids, strict=True)):
        try:
            # The hot line where there are keys: 9 microseconds, most of them the keyring's.
            values.append(
                text_ and decrypt(subjects[text_[_SUBJECT]], event_id, sealed.name, text_)
            )
        except KeyError:
            values.append(None)
            wrong[place] = f"{sealed.name} is not sealed"
        except ValueError as error:
            values.append(None)
            wrong[place] = str(error)
    return values, wrong


def _fault(frame: pl.DataFrame, place: int, error: str) -> pl.DataFrame:
    where = frame[place].select(
        pl.col(f"{AT}position").alias("position"),
        pl.col(f"{AT}id").alias("stream_id"),
        pl.col(f"{AT}type").alias("type"),
    )
    return where.with_columns(pl.lit(error).alias("error"))
