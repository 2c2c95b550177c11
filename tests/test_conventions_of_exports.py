"""What an export of records declares is complete: every event, table and field is spoken of."""

from __future__ import annotations

from typing import Any, get_type_hints

from domain import EVENTS
from imports.again import AGAIN, APART, NOT_AGAIN, TABLES_APART
from imports.again import kind_of as kind_of_record
from imports.asking import FIXED
from imports.source import kind_of
from projections import DIMENSIONS, FACTS


def test_every_event_is_exported_or_it_is_said_why_not():
    missing = {event.__name__ for event in EVENTS.values()} - {
        event.__name__ for event in (*AGAIN, *NOT_AGAIN)
    }
    assert not missing, "say in imports/again.py which command leads to it again, or why none does"
    assert not {*AGAIN} & {*NOT_AGAIN}


def test_every_table_is_carried_or_it_is_said_why_not():
    declared: tuple[Any, ...] = (*DIMENSIONS, *FACTS)
    tables = {one.name: one for one in declared}
    assert tables.keys() >= TABLES_APART.keys()
    for name, table in tables.items():
        events = {event for shape in table.shapes for event in shape.sources}
        carried = bool(events & {*AGAIN}) and name != "subject"
        assert carried == (name not in TABLES_APART), name
    columns = {
        column.name for one in tables.values() for s in one.shapes for column in s.table.stored
    }
    assert {*APART} <= columns | {"position_to"}


def test_every_field_of_a_command_is_fed():
    for event, wish in AGAIN.items():
        for verb in wish.verbs:
            assert wish.fed.keys() <= verb.model_fields.keys()
            for name, field in verb.model_fields.items():
                assert name in wish.fed or not field.is_required(), (verb, name)
        assert {*wish.fed.values()} <= event.model_fields.keys(), event


def test_a_column_holds_one_kind_of_value():
    kinds: dict[tuple[str, str], str] = {}
    for event, wish in AGAIN.items():
        for verb in wish.verbs:
            hints = get_type_hints(verb, include_extras=True)
            for name in wish.fed:
                read_as = kind_of(hints[name]) or "text"
                assert name not in FIXED, (event, name)
                assert kinds.setdefault((kind_of_record(verb), name), read_as) == read_as
