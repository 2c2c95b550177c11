"""Where the value of a column comes from in an event, and of what type the column then is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from projections.fields import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    TIMESTAMPTZ,
    UUID_,
    VARCHAR,
    ColumnType,
    DeclarationError,
    fields_of,
)

if TYPE_CHECKING:
    from domain.base import Event

Constant = str | bool | int | float | Decimal | UUID | None


class Ref:
    """Where a value comes from.

    `field` is the event's field of the column's own name, `field.other` another one; so with
    `envelope` and `state`.
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


Assignments = Mapping[str, Ref | Constant]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of a column comes from in one event; `type` is None for a bare NULL."""

    kind: Literal["field", "envelope", "state", "constant"]
    name: str
    value: Constant
    type: ColumnType | None
    personal: bool = False


Sources = dict["type[Event]", dict[str, Source]]

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
_CONSTANTS: dict[type, ColumnType] = {
    str: VARCHAR,
    bool: BOOLEAN,
    int: BIGINT,
    float: DOUBLE,
    UUID: UUID_,
}


def source_of(
    table: str,
    event: type[Event],
    column: str,
    given: Ref | Constant,
    states: Mapping[str, ColumnType],
) -> Source:
    """What is meant in a declaration; `states` are the columns that `state` can name."""
    where = f"{table}.{column}"
    if not isinstance(given, Ref):
        if not isinstance(given, Constant):
            raise DeclarationError(f"{where}: {given!r} cannot stand in a column")
        return Source("constant", "", given, _CONSTANTS.get(type(given)))
    kind, name = given.resolve(column)
    if kind == "field":
        found = fields_of(event).get(name)
        if found is None:
            raise DeclarationError(f"{where}: {event.__name__} has no field {name}")
        return Source(kind, name, None, found.type, found.personal)
    known = ENVELOPE if kind == "envelope" else states
    if name not in known:
        raise DeclarationError(f"{where}: the {kind} has no {name}")
    return Source(kind, name, None, known[name])


def type_of(where: str, sources: list[Source]) -> tuple[ColumnType, bool]:
    """The one type of a column, and whether it is personal."""
    types = {source.type.sql: source.type for source in sources if source.type is not None}
    numbers = [sql for sql in types if sql.startswith("DECIMAL") or sql == DOUBLE.sql]
    if numbers and all(s.kind == "constant" for s in sources if s.type is BIGINT):
        types.pop(BIGINT.sql, None)  # a whole number stands well in a column of others
    if len(types) != 1:
        raise DeclarationError(f"{where}: has the types {sorted(types) or 'of NULL only'}")
    personal = {source.personal for source in sources if source.kind != "constant"}
    if len(personal) > 1 or (True in personal and any(s.value is not None for s in sources)):
        raise DeclarationError(f"{where}: is personal in one event and plain in another")
    return next(iter(types.values())), personal == {True}
