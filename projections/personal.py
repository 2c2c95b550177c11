"""Personal values: opened on their way into the tables of the second file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import duckdb
import polars as pl

from projections.base import Shape
from projections.batch import POISON
from projections.fields import FieldType, fields_of
from projections.fold import AT
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
        decrypt = self._unseal(_subjects(shown, self._shown))
        opened: dict[type[Event], pl.DataFrame] = {}
        faults = [pl.DataFrame(schema=POISON)]
        for event, frame in shown.items():
            plain = [_decrypted(frame, name, decrypt, faults) for name in self._shown[event]]
            opened[event] = frame.with_columns(self._typed(event, frame, plain))
        return opened, pl.concat(faults)

    def _typed(
        self, event: type[Event], frame: pl.DataFrame, plain: list[pl.Series]
    ) -> list[pl.Series]:
        """Values as typed columns, and the digests of what the log has in their place."""
        fields = self._shown[event]
        if not fields:
            return []
        read = [
            f"TRY(json_transform_strict(plain.{quoted(n)}, {text(quoted(f.type.sql))})) AS {quoted(n)}"
            for n, f in fields.items()
        ]
        read += [f"md5_number_lower(sealed.{quoted(n)}) AS {quoted(n + '#')}" for n in fields]
        self._duckdb.register("plain", pl.DataFrame(plain).to_arrow())
        self._duckdb.register("sealed", frame.select(list(fields)).to_arrow())
        result = self._duckdb.execute(
            f"SELECT {', '.join(read)} FROM plain POSITIONAL JOIN sealed"
        )
        rows = pl.DataFrame(result.to_arrow_table())
        types = {name: field.type.polars for name, field in fields.items()}
        return rows.cast(dict(types)).get_columns()


def _subjects(
    frames: Mapping[type[Event], pl.DataFrame], shown: Mapping[type[Event], Mapping[str, FieldType]]
) -> list[UUID]:
    found = [
        frame[name].str.extract(SEALED)
        for event, frame in frames.items()
        for name in shown[event]
    ]
    unique = pl.concat(found).drop_nulls().unique().sort() if found else []
    return [UUID(subject) for subject in unique]


def _decrypted(
    frame: pl.DataFrame, name: str, decrypt: Decrypt, faults: list[pl.DataFrame]
) -> pl.Series:
    """One personal column as JSON; what cannot be opened is NULL, and added to `faults`."""
    sealed = frame[name]
    columns = (sealed, sealed.str.extract(SEALED), frame[f"{AT}event_id"])
    plain: list[str | None] = []
    for place, (ciphertext, subject, event_id) in enumerate(zip(*columns, strict=True)):
        if ciphertext is None:
            plain.append(None)
            continue
        try:
            if subject is None:
                raise ValueError(f"{name} is not sealed")
            plain.append(decrypt(UUID(subject), UUID(event_id), name, ciphertext))
        except ValueError as error:
            plain.append(None)
            faults.append(_fault(frame, place, str(error)))
    return pl.Series(name, plain, pl.String())


def _fault(frame: pl.DataFrame, place: int, error: str) -> pl.DataFrame:
    where = frame[place].select(
        pl.col(f"{AT}position").alias("position"),
        pl.col(f"{AT}id").alias("stream_id"),
        pl.col(f"{AT}type").alias("type"),
    )
    return where.with_columns(pl.lit(error).alias("error"))
