"""How tables follow from events: the words that declarations are written in.

A `Dimension` has a row per version of a record, a `FactTable` a row per event. Both say, event by
event, what goes into which column; the types of the columns follow from the events. What an event
does not assign keeps its value. Personal columns go to a table of their own, `<name>_personal`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from domain import events_of
from projections.fields import DeclarationError, fields_of
from projections.shape import Shape, compiled
from projections.sources import Assignments, Constant, Ref
from readmodels.schema import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from domain.base import Event, State

__all__ = [
    "Assignments",
    "Dimension",
    "FactTable",
    "assign",
    "blank",
    "declarations_hash",
    "envelope",
    "field",
    "row",
    "state",
]

field = Ref("field")
"""The event's field."""

envelope = Ref("envelope")
"""What the log says of the event: `envelope.effective_at`, `envelope.actor` …"""

state = Ref("state")
"""The column of the fact table's dimension, as it stands after the event."""


def assign(**columns: Ref | Constant) -> Assignments:
    """What an event changes in the row of its record; the other columns keep their values."""
    return columns


class Blank(dict[str, "Ref | Constant"]):
    """What is left in a row of which all else becomes NULL."""


def blank(**columns: Ref | Constant) -> Assignments:
    """What an event leaves of the row of its record; all other columns become NULL."""
    return Blank(columns)


def row(**columns: Ref | Constant) -> Assignments:
    """What an event puts into its row of a fact table; the other columns are NULL."""
    return columns


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
        self._check(set(on))
        nothing: Assignments = dict.fromkeys(columns)
        keyed = {
            event: {
                **(nothing if isinstance(given, Blank) else {}),
                **dict.fromkeys(key, field),
                **given,
            }
            for event, given in on.items()
        }
        table = Table(name, "dimension", (), description, key)
        self.shapes = compiled(table, keyed, columns, {})

    def _check(self, given: set[type[Event]]) -> None:
        own = set(events_of(self.of))
        if given - own:
            names = sorted(event.__name__ for event in given - own)
            raise DeclarationError(f"{self.name}: {', '.join(names)} is no {self.of.__name__}")
        if own - given and not self.key:
            names = sorted(event.__name__ for event in own - given)
            raise DeclarationError(f"{self.name}: says nothing on {', '.join(names)}")
        for event in given:
            for name in self.key:
                found = fields_of(event).get(name)
                if found is None or found.nullable or found.personal:
                    raise DeclarationError(
                        f"{self.name}: {name} of {event.__name__} cannot tell one from another"
                    )


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
        states = of.shapes[0].types if of is not None else {}
        table = Table(name, "fact", (), description)
        self.shapes = compiled(table, on, columns, states, of.name if of is not None else "")


def declared_hashes(shapes: Sequence[Shape]) -> dict[str, str]:
    """For each table what changes when its rows would be others.

    That is its own declaration, and that of the dimension whose state it shows.
    """
    stated = {shape.table.name: shape.fingerprint() for shape in shapes}
    return {
        shape.table.name: _hash([stated[shape.table.name], stated.get(shape.of)])
        for shape in shapes
    }


def declarations_hash(shapes: Sequence[Shape]) -> str:
    """Names the files that tables with these declarations are kept in."""
    return _hash([shape.fingerprint() for shape in shapes])


def _hash(stated: object) -> str:
    return hashlib.sha256(json.dumps(stated).encode()).hexdigest()[:12]
