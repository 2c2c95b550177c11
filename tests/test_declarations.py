from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import duckdb
import pytest
from pydantic import BaseModel, Field

from domain import EVENTS
from domain.base import Event, Personal, State
from domain.lead import Lead
from domain.values import Amount, CustomValue, Line, Moment, Probability, Text
from projections import DIMENSIONS, FACTS
from projections.base import (
    Dimension,
    FactTable,
    assign,
    declarations_hash,
    envelope,
    field,
    row,
    state,
)
from projections.fields import DeclarationError, fields_of
from projections.log import MAIN_TABLES, PERSONAL_TABLES

DECLARED: list[Dimension | FactTable] = [*DIMENSIONS, *FACTS]
TABLES = [*MAIN_TABLES, *PERSONAL_TABLES, *(s.table for each in DECLARED for s in each.shapes)]


class Part(BaseModel):
    """A part of something."""

    name: Line


class ThingMade(Event, type="thing.made.v1"):
    """Something was made."""

    name: Personal[Line | None]
    maker: Personal[Text]
    line: Line
    kind: Literal["big", "small"] | None
    size: Annotated[int, Field(ge=0)]
    weight: float | None
    done: bool
    owner: UUID
    price: Amount | None
    chance: Probability
    day: date | None
    at: Moment
    parts: tuple[Part, ...]
    custom: dict[str, CustomValue]
    either: int | str


class ThingBroken(Event, type="thing.broken.v1"):
    """It broke."""

    line: Line
    size: str
    spot: Line | None


@dataclass(frozen=True, slots=True)
class Thing(State[ThingMade | ThingBroken]):
    """A thing."""


def test_columns_have_the_types_of_the_fields():
    found = {
        name: (str(f.type), f.nullable, f.personal) for name, f in fields_of(ThingMade).items()
    }
    assert found == {
        "name": ("VARCHAR", True, True),
        "maker": ("VARCHAR", False, True),
        "line": ("VARCHAR", False, False),
        "kind": ("VARCHAR", True, False),
        "size": ("BIGINT", False, False),
        "weight": ("DOUBLE", True, False),
        "done": ("BOOLEAN", False, False),
        "owner": ("UUID", False, False),
        "price": ("DECIMAL(18,2)", True, False),
        "chance": ("DECIMAL(5,4)", False, False),
        "day": ("DATE", True, False),
        "at": ("TIMESTAMPTZ", False, False),
        "parts": ("JSON", False, False),
        "custom": ("JSON", False, False),
        "either": ("JSON", False, False),
    }


def thing(made: Any, broken: Any = None, *, key: tuple[str, ...] = (), **texts: str) -> Dimension:
    """A declaration of things; every column assigned is described."""
    names = texts or {*made, *(broken or {}), *key}
    return Dimension(
        "thing",
        of=Thing,
        on={ThingMade: made, ThingBroken: broken or {}},
        description="Things.",
        columns=dict.fromkeys(sorted(names), "What it is."),
        key=key,
    )


@pytest.mark.parametrize(
    ("declare", "complaint"),
    [
        (lambda: thing(assign(colour=field)), "thing.colour: ThingMade has no field colour"),
        (lambda: thing(assign(a=field.b.c)), "thing.a: ThingMade has no field c"),
        (lambda: thing(assign(a=envelope.b)), "thing.a: the envelope has no b"),
        (lambda: thing(assign(a=state.b)), "thing.a: the state has no b"),
        (lambda: thing(assign(size=field), assign(size=field)), "has the types .*BIGINT.*VARCHAR"),
        (lambda: thing(assign(size=field), assign(size="big")), "has the types .*BIGINT.*VARCHAR"),
        (lambda: thing(assign(size=None)), "thing.size: has the types of NULL only"),
        (lambda: thing(assign(name=field), assign(name="x")), "is personal in one event"),
        (lambda: thing(assign(line=field.maker), assign(line=field)), "is personal in one event"),
        (lambda: thing(assign(line=[1])), r"thing.line: \[1\] cannot stand in a column"),
        (lambda: thing(assign(version=1)), r"every table has \['version'\] already"),
        (lambda: thing(assign(line=field), lines="?"), r"not described \['line'\], not assigned"),
        (lambda: thing(assign(), key=("spot",)), "spot of Thing(Made|Broken) cannot tell"),
        (
            lambda: Dimension("x", of=Lead, on={}, description="", columns={}),
            "x: says nothing on LeadAssigned, LeadCaptured",
        ),
        (
            lambda: Dimension("x", of=Lead, on={ThingMade: {}}, description="", columns={}),
            "x: ThingMade is no Lead",
        ),
        (
            lambda: FactTable(
                "x",
                of=thing(assign(), key=("line",)),
                on={ThingMade: row(line=field)},
                description="",
                columns={"line": ""},
            ),
            "x: `state` of a collection",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_in_words(declare: Any, complaint: str):
    with pytest.raises(DeclarationError, match=complaint):
        declare()


def test_whole_numbers_stand_in_columns_of_decimals():
    for made, expected in (
        (assign(price=field), "DECIMAL(18,2)"),
        (assign(price=field.weight), "DOUBLE"),
    ):
        [shape] = thing(made, assign(price=0)).shapes
        assert str(shape.types["price"]) == expected


def test_another_declaration_has_another_hash():
    def hash_of(*arguments: Any) -> str:
        return declarations_hash(thing(*arguments).shapes)

    first = hash_of(assign(line=field, size=field))
    assert first == hash_of(assign(line=field, size=field))
    assert first != hash_of(assign(line=field, size=1))
    assert first != hash_of(assign(line="x", size=field))
    assert first != hash_of(assign(line=field, size=field), assign(line=field))
    assert first != hash_of(assign(line=field, size=None), assign(size=1))


def test_every_event_goes_to_some_table():
    shown = {event for each in DECLARED for shape in each.shapes for event in shape.sources}
    assert shown == set(EVENTS.values())


def test_every_field_of_every_event_is_shown_somewhere():
    shown = {
        (event, source.name)
        for each in DECLARED
        for shape in each.shapes
        for event, sources in shape.sources.items()
        for source in sources.values()
    }
    hidden = {
        f"{event.__name__}.{name}"
        for event in EVENTS.values()
        for name in fields_of(event)
        if (event, name) not in shown
    }
    # What was before stands in the version before, and what an id is made of in the first one.
    known = ("previous_", "person_id", "campaign_id", "member_", "merged_id")
    assert {name for name in hidden if not name.split(".")[1].startswith(known)} == set()


def test_names_of_tables_and_columns_need_no_quotes():
    with duckdb.connect(":memory:") as connection:
        reserved = {
            name
            for (name,) in connection.execute(
                "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
            ).fetchall()
        }
    names = {table.name for table in TABLES} | {c.name for t in TABLES for c in t.columns}
    assert not names & reserved


def test_no_two_tables_have_one_name():
    parts = [part for table in TABLES for part in table.parts()]
    assert len(parts) == len(set(parts))
    views = [
        name
        for table in TABLES
        for name in (
            [table.name, *(f"{table.name}_{suffix}" for suffix in ("history", "at", "between"))]
            if table.kind == "dimension"
            else [table.name, f"{table.name}_at"]
        )
    ]
    assert len(views) == len(set(views))


@pytest.mark.parametrize("table", TABLES, ids=lambda each: each.name)
def test_every_table_and_column_is_explained(table: Any):
    for text in (table.description, *(column.description for column in table.stored)):
        assert text
        assert text[0].isupper() or text.split()[0].strip(".,:").isidentifier() or text[0].isdigit()
        assert text.endswith((".", "?", "5."))
