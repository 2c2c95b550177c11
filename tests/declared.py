"""What the declarations of the tables say, read out in plain Python, one event after the other.

The oracle of the columnar fold: it knows the declarations and nothing of columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from domain.base import Event
    from eventstore.envelope import RecordedEvent
    from projections.base import Dimension, FactTable
    from projections.shape import Shape
    from projections.sources import Source

Row = dict[str, Any]


@dataclass(frozen=True)
class Dated:
    """A recorded event, and from when on it counts."""

    recorded: RecordedEvent
    effective_at: datetime

    @property
    def event(self) -> Event:
        """What happened."""
        return self.recorded.event

    def envelope(self, name: str) -> Any:
        """What the log says of it."""
        return self.effective_at if name == "effective_at" else getattr(self.recorded, name)


def dated(log: Iterable[RecordedEvent]) -> list[Dated]:
    """The events with the latest `occurred_at` of their stream so far."""
    latest: dict[UUID, datetime] = {}
    found = []
    for recorded in log:
        at = max(recorded.occurred_at, latest.get(recorded.stream_id, recorded.occurred_at))
        latest[recorded.stream_id] = at
        found.append(Dated(recorded, at))
    return found


@dataclass
class Told:
    """The rows of a declaration, in the order of the log."""

    declaration: Dimension | FactTable
    rows: list[Row] = field(default_factory=list)
    now: dict[tuple[Any, ...], Row] = field(default_factory=dict)

    def tell(self, dated: Dated, states: dict[str, Row]) -> None:
        """One more event; `states` are the rows of the dimensions after it, by their names."""
        shapes = [s for s in self.declaration.shapes if type(dated.event) in s.sources]
        if not shapes:
            return
        values: Row = {}
        for shape in shapes:
            for column, source in shape.sources[type(dated.event)].items():
                if not column.endswith("_digest"):
                    values[column] = self._value(shape, source, dated, states)
        table = self.declaration.shapes[0].table
        begin = {"id": dated.recorded.stream_id, "position": dated.recorded.position}
        if table.kind == "fact":
            columns = [c for s in self.declaration.shapes for c in s.types if "_digest" not in c]
            self.rows.append(dict.fromkeys(columns) | values | begin)
            return
        entity = (dated.recorded.stream_id, *(values[name] for name in table.key))
        blank = {c: None for s in self.declaration.shapes for c in s.types if "_digest" not in c}
        row = self.now.get(entity, blank) | values | begin
        row |= {"version": dated.recorded.version, "valid_from": dated.effective_at}
        self.now[entity] = states[self.declaration.name] = row
        self.rows.append(row)

    @staticmethod
    def _value(shape: Shape, source: Source, dated: Dated, states: dict[str, Row]) -> Any:
        match source.kind:
            case "field":
                return getattr(dated.event, source.name)
            case "envelope":
                return dated.envelope(source.name)
            case "state":
                return states[shape.of][source.name]
            case _:
                return source.value


def tell(
    log: Sequence[RecordedEvent], *declarations: Dimension | FactTable
) -> dict[str, list[Row]]:
    """The rows of every declaration; dimensions have to stand before their fact tables."""
    told = [Told(declaration) for declaration in declarations]
    for event in dated(log):
        states: dict[str, Row] = {}
        for each in told:
            each.tell(event, states)
    return {each.declaration.name: each.rows for each in told}


def plain(value: Any) -> Any:
    """A value as it can be compared: of an event, of a state or of a row."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return plain(orjson.loads(value))
        except orjson.JSONDecodeError:
            return value
    match value:
        case UUID():
            return str(value)
        case Decimal() | bool() | int() | float() | None | datetime():
            return value
        case _:
            return to_jsonable_python(value)
