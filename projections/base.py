"""How tables follow from events: the words declarations are written in, and their checks.

A `Dimension` has a row per version of a record, a `FactTable` a row per event. Both say, event by
event, what goes into which column; the types of the columns follow from the events. What an event
does not assign keeps its value. Personal columns go to a table of their own, `<name>_personal`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from domain import events_of
from domain.base import Event, State, aggregate_of
from projections.fields import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    TIMESTAMPTZ,
    UBIGINT,
    UUID_,
    VARCHAR,
    ColumnType,
    DeclarationError,
    fields_of,
)
from readmodels.schema import BEGIN, END, HAPPENED, ID, Column, Table

Constant = str | bool | int | float | Decimal | UUID | None


class Ref:
    """Says where a value comes from: `field` is the event's field of the column's own name,
    `field.other` another one; so with `envelope` and `state`.
    """

    __slots__ = ("_kind", "_name")

    def __init__(self, kind: Literal["field", "envelope", "state"], name: str = "") -> None:
        self._kind = kind
        self._name = name

    def __getattr__(self, name: str) -> Ref:
        if name.startswith("__"):
            raise AttributeError(name)
        return Ref(self._kind, name)

    def resolve(self, column: str) -> tuple[Literal["field", "envelope", "state"], str]:
        """Kind and name of what is meant in a column."""
        return self._kind, self._name or column


field = Ref("field")
"""The event's field."""

envelope = Ref("envelope")
"""What the log says of the event: `envelope.effective_at`, `envelope.actor` …"""

state = Ref("state")
"""The column of the fact table's dimension, as it stands after the event."""

Assignments = Mapping[str, Ref | Constant]


def assign(**columns: Ref | Constant) -> Assignments:
    """What an event changes in the row of its record; the other columns keep their values."""
    return columns


def row(**columns: Ref | Constant) -> Assignments:
    """What an event puts into its row of a fact table; the other columns are NULL."""
    return columns


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of a column comes from in one event; `type` is None for a bare NULL."""

    kind: Literal["field", "envelope", "state", "constant"]
    name: str
    value: Constant
    type: ColumnType | None
    personal: bool = False


Sources = dict[type[Event], dict[str, Source]]


@dataclass(frozen=True)
class Shape:
    """A declaration compiled: a table, and where its columns come from in each event."""

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
                [event.type, sorted(event.lifts), _fields(event), _assignments(sources)]
                for event, sources in self.sources.items()
            ],
        ]


class Dimension:
    """A record's history: one row per version, told by the events of one aggregate.

    Without a `key` every event of the aggregate has its say, if only `assign()`. With one the
    table is a collection: an event speaks of the member that its key fields name.
    """

    def __init__(
        self,
        name: str,
        *,
        of: type[State[Any]],
        on: Mapping[type[Event], Assignments],
        description: str,
        columns: Mapping[str, str],
        key: tuple[str, ...] = (),
    ) -> None:
        self.name, self.of, self.key = name, of, key
        self._check_events(set(on))
        keyed = {event: {**dict.fromkeys(key, field), **given} for event, given in on.items()}
        compiled = _compile(name, keyed, columns, {})
        self.types = {column: type_ for column, (type_, _) in compiled.types.items()}
        self.shapes = compiled.shapes(name, "dimension", description, columns, key)

    def _check_events(self, given: set[type[Event]]) -> None:
        own = set(events_of(self.of))
        if given - own:
            raise DeclarationError(f"{self.name}: no events of {self.of.__name__}: {given - own}")
        if own - given and not self.key:
            names = sorted(event.__name__ for event in own - given)
            raise DeclarationError(f"{self.name}: says nothing on {', '.join(names)}")


class FactTable:
    """Happenings: one row per event of the types named.

    `of` is the dimension that `state` refers to: the row as it stands after the event.
    """

    def __init__(
        self,
        name: str,
        *,
        on: Mapping[type[Event], Assignments],
        description: str,
        columns: Mapping[str, str],
        of: Dimension | None = None,
    ) -> None:
        self.name = name
        if of is not None and of.key:
            raise DeclarationError(f"{name}: `state` of a collection ({of.name}) is ambiguous")
        plain = of.shapes[0].types if of is not None else {}
        compiled = _compile(name, on, columns, plain)
        self.shapes = compiled.shapes(
            name, "fact", description, columns, of=of.name if of is not None else ""
        )


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Columns with type and whether they are personal, and the sources of all."""

    types: dict[str, tuple[ColumnType, bool]]
    sources: Sources

    def shapes(
        self,
        name: str,
        kind: Literal["dimension", "fact"],
        description: str,
        texts: Mapping[str, str],
        key: tuple[str, ...] = (),
        of: str = "",
    ) -> tuple[Shape, ...]:
        """The plain table, and the personal one if there are personal columns."""
        plain = {column: t for column, (t, personal) in self.types.items() if not personal}
        columns = tuple(Column(column, t.sql, texts[column]) for column, t in plain.items())
        table = Table(name, kind, columns, description, key)
        shapes = (Shape(table, plain, _only(self.sources, plain, every=True), of),)
        personal = {column: t for column, (t, personal) in self.types.items() if personal}
        if not personal:
            return shapes
        return (*shapes, self._personal(table, {c: plain[c] for c in key}, personal, texts))

    def _personal(
        self,
        plain: Table,
        key: dict[str, ColumnType],
        personal: dict[str, ColumnType],
        texts: Mapping[str, str],
    ) -> Shape:
        columns = [Column(name, key[name].sql, texts[name]) for name in key]
        columns += [Column(name, t.sql, texts[name]) for name, t in personal.items()]
        columns += [
            Column(f"{name}_digest", UBIGINT.sql, f"Stands for {name}: a hash of what the log has.", name)
            for name in personal
        ]
        sources = _only(self.sources, personal, every=False)
        for event, given in sources.items():
            digests = {
                f"{name}_digest": Source(s.kind, f"{s.name}#", None, s.type and UBIGINT)
                for name, s in given.items()
            }
            keys = {name: self.sources[event][name] for name in key}
            sources[event] = {**keys, **given, **digests}
        types = {**key, **personal, **{f"{name}_digest": UBIGINT for name in personal}}
        table = Table(
            f"{plain.name}_personal",
            plain.kind,
            tuple(columns),
            f"Personal columns of {plain.name}.",
            plain.key,
            personal=True,
        )
        return Shape(table, types, sources)


def _only(sources: Sources, columns: Mapping[str, Any], *, every: bool) -> Sources:
    """The sources of some columns; with `every`, also of events that assign none of them."""
    chosen = {
        event: {name: source for name, source in given.items() if name in columns}
        for event, given in sources.items()
    }
    return {event: given for event, given in chosen.items() if given or every}


ENVELOPE: dict[str, ColumnType] = {
    "position": BIGINT,
    "event_id": UUID_,
    "version": BIGINT,
    "recorded_at": TIMESTAMPTZ,
    "occurred_at": TIMESTAMPTZ,
    "effective_at": TIMESTAMPTZ,
    "actor": UUID_,
    "correlation_id": UUID_,
    "causation_id": UUID_,
}
_RESERVED = {column.name for column in (ID, *BEGIN, *END, *HAPPENED)} | {"digest"}
_CONSTANTS: dict[type, ColumnType] = {
    str: VARCHAR,
    bool: BOOLEAN,
    int: BIGINT,
    float: DOUBLE,
    UUID: UUID_,
}


def _compile(
    name: str,
    on: Mapping[type[Event], Assignments],
    texts: Mapping[str, str],
    state_types: Mapping[str, ColumnType],
) -> _Compiled:
    assigned = {column for given in on.values() for column in given}
    if assigned != set(texts):
        undescribed, unassigned = sorted(assigned - set(texts)), sorted(set(texts) - assigned)
        raise DeclarationError(f"{name}: not described {undescribed}, not assigned {unassigned}")
    if assigned & _RESERVED:
        raise DeclarationError(f"{name}: every table has {sorted(assigned & _RESERVED)} already")
    sources: Sources = {
        event: {
            column: _source(f"{name}.{column}", event, column, given, state_types)
            for column, given in columns.items()
        }
        for event, columns in on.items()
    }
    types = {
        column: _unify(f"{name}.{column}", [s[column] for s in sources.values() if column in s])
        for column in texts
    }
    return _Compiled(types, sources)


def _source(
    where: str,
    event: type[Event],
    column: str,
    given: Ref | Constant,
    state_types: Mapping[str, ColumnType],
) -> Source:
    if not isinstance(given, Ref):
        type_ = None if given is None else _CONSTANTS.get(type(given))
        if given is not None and type_ is None and not isinstance(given, Decimal):
            raise DeclarationError(f"{where}: {given!r} cannot stand in a column")
        return Source("constant", "", given, type_)
    kind, name = given.resolve(column)
    if kind == "field":
        found = fields_of(event).get(name)
        if found is None:
            raise DeclarationError(f"{where}: {event.__name__} has no field {name}")
        return Source("field", name, None, found.type, found.personal)
    known = ENVELOPE if kind == "envelope" else state_types
    if name not in known:
        raise DeclarationError(f"{where}: the {kind} has no {name}")
    return Source(kind, name, None, known[name])


def _unify(where: str, sources: list[Source]) -> tuple[ColumnType, bool]:
    """The one type of a column, and whether it is personal."""
    types = {source.type.sql: source.type for source in sources if source.type is not None}
    exact = [t for sql, t in types.items() if sql.startswith("DECIMAL")]
    constants = all(s.kind == "constant" for s in sources if s.type is BIGINT)
    if constants and (exact or DOUBLE.sql in types):
        types.pop(BIGINT.sql, None)  # a whole number stands well in a column of decimals
    if len(types) != 1:
        raise DeclarationError(f"{where}: has the types {sorted(types) or 'of NULL only'}")
    personal = {source.personal for source in sources if source.kind != "constant"}
    if len(personal) > 1 or (True in personal and any(s.value is not None for s in sources)):
        raise DeclarationError(f"{where}: is personal in one event and plain in another")
    return next(iter(types.values())), personal == {True}


def _fields(event: type[Event]) -> dict[str, Any]:
    return {name: [str(f.type), f.nullable, f.personal] for name, f in fields_of(event).items()}


def _assignments(sources: dict[str, Source]) -> list[list[str]]:
    return [[column, s.kind, s.name, repr(s.value)] for column, s in sources.items()]


def declarations_hash(shapes: tuple[Shape, ...], edition: int) -> str:
    """Names the files that tables with these declarations are kept in."""
    stated = json.dumps([edition, [shape.fingerprint() for shape in shapes]])
    return hashlib.sha256(stated.encode()).hexdigest()[:12]


def aggregate_name(dimension: Dimension) -> str:
    """The aggregate a dimension tells of."""
    return aggregate_of(dimension.of)
