"""Declarations compiled: tables, and where their columns come from in each event."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from projections.fields import UBIGINT, ColumnType, DeclarationError, fields_of
from projections.sources import Assignments, Source, Sources, source_of, type_of
from readmodels.schema import BEGIN, END, HAPPENED, ID, Column, Feed, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.base import Event

_RESERVED = {column.name for column in (ID, *BEGIN, *END, *HAPPENED)} | {"digest"}


@dataclass(frozen=True)
class Shape:
    """A table, the types of its columns, and their sources; `of` is what `state` refers to."""

    table: Table
    types: dict[str, ColumnType]
    sources: Sources
    of: str = ""

    @cached_property
    def columns_by_events(self) -> dict[tuple[int, ...], list[str]]:
        """Columns that the same events assign, by the numbers of these events."""
        groups: dict[tuple[int, ...], list[str]] = {}
        for name in self.types:
            if name not in self.table.key:
                numbers = (i for i, given in enumerate(self.sources.values()) if name in given)
                groups.setdefault(tuple(numbers), []).append(name)
        return groups

    def fingerprint(self) -> Any:
        """All that decides what the rows will be."""
        return [
            [self.table.name, self.table.kind, self.of, *self.table.key],
            [[column.name, column.type] for column in self.table.columns],
            [
                [event.type, sorted(event.lifts), _stated(event), _assigned(sources)]
                for event, sources in self.sources.items()
            ],
        ]


def _stated(event: type[Event]) -> dict[str, Any]:
    return {name: [f.type.sql, f.nullable, f.personal] for name, f in fields_of(event).items()}


def _assigned(sources: Mapping[str, Source]) -> list[list[str]]:
    return [[column, s.kind, s.name, repr(s.value)] for column, s in sources.items()]


def compiled(
    table: Table,
    on: Mapping[type[Event], Assignments],
    texts: Mapping[str, str],
    states: Mapping[str, ColumnType],
    of: str = "",
) -> tuple[Shape, ...]:
    """The plain table of a declaration, and the personal one if it has personal columns.

    `table` is still without columns; `texts` say what these mean, in their order.
    """
    name = table.name
    assigned = {column for given in on.values() for column in given}
    if assigned != set(texts):
        undescribed, unassigned = sorted(assigned - set(texts)), sorted(set(texts) - assigned)
        raise DeclarationError(f"{name}: not described {undescribed}, not assigned {unassigned}")
    if assigned & _RESERVED:
        raise DeclarationError(f"{name}: every table has {sorted(assigned & _RESERVED)} already")
    sources: Sources = {
        event: {c: source_of(name, event, c, what, states) for c, what in given.items()}
        for event, given in on.items()
    }
    types = {
        column: type_of(f"{name}.{column}", [s[column] for s in sources.values() if column in s])
        for column in texts
    }
    plain = {column: kind for column, (kind, personal) in types.items() if not personal}
    columns = tuple(
        Column(column, kind.sql, texts[column], feeds=_feeds(column, sources, of))
        for column, kind in plain.items()
    )
    events = tuple(event.type for event in on)
    table = replace(table, columns=columns, events=events)
    shape = Shape(table, plain, _only(sources, plain), of)
    sealed = {column: kind for column, (kind, personal) in types.items() if personal}
    return (shape, _personal(shape, sealed, sources, texts)) if sealed else (shape,)


def _personal(
    plain: Shape, sealed: Mapping[str, ColumnType], sources: Sources, texts: Mapping[str, str]
) -> Shape:
    """The table of personal columns, and beside each a digest that stands for it."""
    key = plain.table.key
    types = {name: plain.types[name] for name in key} | dict(sealed)
    columns = [
        Column(name, kind.sql, texts[name], feeds=_feeds(name, sources))
        for name, kind in types.items()
    ]
    told = "Stands for {}: a hash of what the log holds in its place."
    columns += [
        Column(f"{name}_digest", UBIGINT.sql, told.format(name), name, _feeds(name, sources))
        for name in sealed
    ]
    said = {event: given for event, given in _only(sources, sealed).items() if given}
    for event, given in said.items():
        digests = {f"{name}_digest": _digest(source) for name, source in given.items()}
        said[event] = {name: sources[event][name] for name in key} | given | digests
    table = replace(
        plain.table,
        name=f"{plain.table.name}_personal",
        columns=tuple(columns),
        description=f"Personal columns of {plain.table.name}.",
        personal=True,
        events=tuple(event.type for event in said),
    )
    return Shape(table, types | {f"{name}_digest": UBIGINT for name in sealed}, said)


def _feeds(column: str, sources: Sources, of: str = "") -> tuple[Feed, ...]:
    """The events that feed a column, for those who read of it."""
    found = ((event.type, given[column]) for event, given in sources.items() if column in given)
    return tuple(Feed(event, _said(source, of)) for event, source in found)


def _said(source: Source, of: str) -> str:
    match source.kind:
        case "constant":
            return "NULL" if source.value is None else repr(source.value)
        case "field":
            return source.name
        case "envelope":
            return f"envelope.{source.name}"
        case "state":
            return f"{of}.{source.name}"


def _digest(source: Source) -> Source:
    """The hash of a ciphertext stands beside it in the frame of the event, as `field#`."""
    return replace(source, name=f"{source.name}#", type=source.type and UBIGINT)


def _only(sources: Sources, columns: Mapping[str, Any]) -> Sources:
    return {
        event: {name: source for name, source in given.items() if name in columns}
        for event, given in sources.items()
    }
