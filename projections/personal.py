"""Personal values: opened on their way into the tables of the second file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING
from uuid import UUID

import duckdb
import numpy as np
import polars as pl
from cryptography.exceptions import InvalidTag

from eventstore.keys import NONCE_BYTES, PREFIX, SEALED_FROM
from projections.batch import POISON, ROW
from projections.fields import JSON, ColumnType, FieldType, fields_of, streamed
from projections.fold import AT, framed
from projections.shape import Shape
from readmodels.schema import quoted, text

if TYPE_CHECKING:
    from domain.base import Event

    _Place = tuple[type[Event], str]

Open = Callable[[bytes, bytes, bytes], bytes | None]
"""(nonce, sealed bytes, what they are bound to) -> JSON of the value.

Raises InvalidTag when the bytes are damaged, or were sealed for another event or field.
"""

Unseal = Callable[[Sequence[UUID]], Iterable[Open | None]]
"""What opens the values of each of these subjects; None where the key is gone."""

TOGETHER = 256

SUBJECT = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_SUBJECT = len(PREFIX)
_WHERE = {"position": "position", "stream_id": "id", "type": "type", "event_id": "event_id"}
_HEX = pl.col("event_id").bin.encode("hex")
_EVENT = pl.concat_str(
    [
        _HEX.str.slice(begin, length)
        for begin, length in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))
    ],
    separator="-",
)
_OPENED = ("nonce", "sealed", "bound")
_DECODED = pl.col("text").str.slice(SEALED_FROM).str.decode("base64", strict=False)


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
        some = _taken_apart(sealed)
        runs = some["subject"].rle().struct.unnest()
        opens = chain.from_iterable(map(repeat, self._opens(runs["value"]), runs["len"].to_list()))
        opened, wrong = _opened(opens, *(some[name].to_list() for name in _OPENED))
        plain = pl.Series([*opened, None], dtype=pl.Binary).cast(pl.String)
        places = np.full(len(sealed), len(some), np.uint32)
        places[some["place"].to_numpy()] = np.arange(len(some))
        faulty = sealed[some["place"][list(wrong)]].to_dict()
        faulty["error"] = pl.Series(wrong.values(), dtype=pl.String)
        return plain[pl.Series(places)], framed({name: faulty[name] for name in POISON})

    def _opens(self, subjects: pl.Series) -> Iterator[Open]:
        """What opens the values of each of these."""
        named = subjects.str.contains(SUBJECT)
        ids = subjects.filter(named).str.replace_all("-", "", literal=True).str.decode("hex")
        found = iter(self._unseal([UUID(bytes=id) for id in ids.to_list()]))
        return ((next(found) or _gone) if is_one else _unsealed for is_one in named.to_list())

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


def _taken_apart(sealed: pl.DataFrame) -> pl.DataFrame:
    """Of each value what opens it is given; what is of one person together."""
    return (
        sealed.lazy()
        .with_row_index("place")
        .filter(pl.col("text").is_not_null())
        .with_columns(subject=pl.col("text").str.slice(_SUBJECT, 36), sealed=_DECODED)
        .select(
            "place",
            "subject",
            nonce=pl.col("sealed").bin.slice(0, NONCE_BYTES),
            sealed=pl.col("sealed").bin.slice(NONCE_BYTES),
            bound=pl.concat_str(_EVENT, "field", "subject", separator="|").cast(pl.Binary),
        )
        .sort(pl.col("subject").hash())
        .collect()
    )


def _opened(
    opens: Iterable[Open], nonces: Sequence[bytes], sealed: Sequence[bytes], bound: Sequence[bytes]
) -> tuple[list[bytes | None], dict[int, str]]:
    """Values as JSON, and by their places what is wrong with those that cannot be opened."""
    values: list[bytes | None] = []
    wrong: dict[int, str] = {}
    given = zip(opens, nonces, sealed, bound, strict=True)
    while some := list(islice(given, TOGETHER)):
        try:
            # The hot line where there are keys: 0.7 microseconds, 0.6 of them the cipher's.
            values += [open_(nonce, text_, to) for open_, nonce, text_, to in some]
        except (InvalidTag, TypeError, ValueError):
            for place, one in enumerate(some, len(values)):
                if error := _fault(*one):
                    wrong[place] = error
                values.append(None if error else one[0](*one[1:]))
    return values, wrong


def _fault(open_: Open, nonce: bytes | None, sealed: bytes, bound: bytes) -> str:
    """In words, what is wrong with a value, if anything."""
    event, field, _ = bound.decode().split("|", 2)
    if open_ is _unsealed:
        return f"{field} is not sealed"
    if open_ is _gone:
        return ""
    if nonce is None:
        return f"the ciphertext of {field} is damaged"
    try:
        open_(nonce, sealed, bound)
    except (InvalidTag, ValueError):
        return f"the ciphertext of {field} does not belong to {event}"
    return ""


def _unsealed(*_: bytes) -> None:
    raise ValueError


def _gone(*_: bytes) -> None:
    """What is left of a value whose key is gone."""


def _sealed(frame: pl.DataFrame, field: str) -> pl.DataFrame:
    """The values of a field as the log has them, and where they stand."""
    columns = {name: frame[f"{AT}{of}"] for name, of in _WHERE.items()}
    named = pl.Series([field]).new_from_index(0, len(frame))
    return pl.DataFrame(columns | {"field": named, "text": frame[field]})


def _transformed(kind: ColumnType) -> str:
    """JSON as a value of a type; NULL if it is none."""
    value = f"TRY(json_transform_strict({quoted(kind.sql)}, {text(quoted(kind.sql))}))"
    return f"{value}::VARCHAR" if kind.sql == JSON.sql else value
