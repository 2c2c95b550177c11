from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import AwareDatetime, Field

import projections.documents
from domain import EVENTS
from domain.base import Event
from projections.decode import Decoder
from projections.documents import NOT_EXACT
from tests.random_log import arrow, random_log


class Sampled(Event, type="sample.sampled.v1"):
    """Has a field of every kind."""

    name: str
    whole: int
    share: float
    sure: bool
    who: UUID
    day: date
    at: AwareDatetime
    price: Annotated[Decimal, Field(max_digits=18, decimal_places=2)]
    notes: dict[str, Any]
    tags: tuple[str, ...]
    perhaps: int | None
    more: dict[str, Any] | None


DECODER = Decoder([Sampled])
FIELDS: dict[str, Any] = {
    "name": "Ann",
    "whole": 3,
    "share": 0.5,
    "sure": True,
    "who": str(UUID(int=7)),
    "day": "2026-02-28",
    "at": "2026-02-28T12:00:00Z",
    "price": "12.50",
    "notes": {"a": [1, {"b": None}]},
    "tags": ["x"],
    "perhaps": None,
    "more": None,
}
WHOLE = orjson.dumps(FIELDS)


def decoded(*documents: bytes) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """What is read of events, and what is wrong with the others."""
    types = ["sample.sampled.v1"] * len(documents)
    batch = pa.table({"type": types, "data": pa.array(documents, pa.binary())})
    found = DECODER.decode(batch)
    rows = found.frames[Sampled].to_dicts() if Sampled in found.frames else []
    return rows, dict(found.faults.iter_rows())


def with_(**texts: bytes) -> bytes:
    """The document with some values written otherwise."""
    parts = [
        orjson.dumps(name) + b":" + texts.get(name, orjson.dumps(value))
        for name, value in FIELDS.items()
    ]
    return b"{" + b",".join(parts) + b"}"


def test_every_kind_of_field_becomes_a_column_of_its_type():
    [row], faults = decoded(WHOLE)
    assert faults == {}
    assert row == FIELDS | {
        "row": 0,
        "who": UUID(int=7).bytes,
        "day": date(2026, 2, 28),
        "at": datetime.fromisoformat(FIELDS["at"]),
        "price": Decimal("12.50"),
        "notes": '{"a":[1,{"b":null}]}',
        "tags": '["x"]',
    }


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        ("has a BIGINT in name", {"name": b"7"}),
        ("has a VARCHAR in whole", {"whole": b'"3"'}),
        ("has a DOUBLE in whole", {"whole": b"3.0"}),
        ("has a BOOLEAN in whole", {"whole": b"true"}),
        (NOT_EXACT, {"whole": b"9223372036854775808"}),
        ("has a VARCHAR in share", {"share": b'"0.5"'}),
        ("is not JSON", {"share": b"NaN"}),
        ("has a BIGINT in sure", {"sure": b"1"}),
        (NOT_EXACT, {"who": b'"7"'}),
        (NOT_EXACT, {"day": b'"2026-02-30"'}),
        (NOT_EXACT, {"at": b'"yesterday"'}),
        (NOT_EXACT, {"price": b'"12.505"'}),
        (NOT_EXACT, {"price": b'"1e20"'}),
        ("has a ARRAY in notes", {"notes": b"[]"}),
        ("has no notes", {"notes": b"null"}),
        ("has a OBJECT in tags", {"tags": b"{}"}),
        ("has a ARRAY in more", {"more": b"[]"}),
        ("is not UTF-8", {"notes": b'{"a":"\xff"}'}),
        ("is not UTF-8", {"name": b'"\xff"'}),
        ("is not JSON", {"notes": rb'{"a":"\ud800"}'}),
        ("is not JSON", {"name": rb'"\ud800"'}),
        ("is not JSON", {"notes": b'{"a":}'}),
        ("is not JSON", {"notes": b'{"a":' * 5_000 + b"1" + b"}" * 5_000}),
    ],
)
def test_what_does_not_fit_is_named_and_its_neighbours_are_read(
    error: str, texts: dict[str, bytes]
):
    rows, faults = decoded(WHOLE, with_(**texts), WHOLE)
    assert [row["row"] for row in rows] == [0, 2]
    assert faults == {1: error}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", rb'"\u00c4\n\ud83d\ude00"', "Ä\n😀"),
        ("name", '"Ä"'.encode(), "Ä"),
        ("share", b"1", 1.0),
        ("share", b"1.0E-7", 1e-7),
        ("price", b'"1E+3"', Decimal("1000.00")),
        ("notes", b'{ "a" : 1e-7 }', '{ "a" : 1e-7 }'),
        ("more", b"{}", "{}"),
        ("whole", b" -9223372036854775808", -(2**63)),
    ],
)
def test_another_way_to_write_the_same_is_read(name: str, text: bytes, value: object):
    [row], faults = decoded(with_(**{name: text}))
    assert (row[name], faults) == (value, {})


def test_fields_may_come_in_any_order_but_once():
    backwards = orjson.dumps(dict(reversed(FIELDS.items())))
    twice = b'{"whole":3,' + WHOLE.removeprefix(b"{")
    rows, faults = decoded(backwards, twice)
    assert [row["name"] for row in rows] == ["Ann"]
    assert faults == {1: "repeats whole"}


@given(some.lists(some.binary(max_size=40) | some.sampled_from([WHOLE, WHOLE[:-1]]), max_size=6))
def test_whatever_stands_in_the_log_is_read_or_named(documents: list[bytes]):
    rows, faults = decoded(*documents)
    assert [row["row"] for row in rows] == [n for n, one in enumerate(documents) if one == WHOLE]
    assert set(faults) == {n for n, one in enumerate(documents) if one != WHOLE}


LOG = arrow(random_log(seed=8, events=300, streams=60))


def test_what_is_written_as_we_write_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch):
    again: list[bytes] = []

    def look(_: object, document: bytes) -> str:
        again.append(document)
        return ""

    monkeypatch.setattr(projections.documents, "fault", look)
    assert Decoder(EVENTS.values()).decode(LOG).faults.is_empty()
    assert again == []


def test_all_texts_of_a_batch_are_cast_in_one_statement(monkeypatch: pytest.MonkeyPatch):
    decoder, asked = Decoder(EVENTS.values()), []
    connection = decoder._duckdb

    class Heard:
        def from_arrow(self, texts: Any) -> Any:
            asked.append(texts)
            return connection.from_arrow(texts)

        def __getattr__(self, name: str) -> Any:
            return getattr(connection, name)

    monkeypatch.setattr(decoder, "_duckdb", Heard())
    found = decoder.decode(LOG)
    assert len(found.frames) > 12
    assert len(asked) == 1
