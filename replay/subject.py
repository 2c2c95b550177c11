"""A subject as the log knows it: the records that go with one, and all that was said in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from commands.onlooker import Onlooker
from commands.reach import reach
from domain.base import HIDDEN
from domain.contact import Contact
from domain.lead import Lead
from domain.subject import subject_stream
from eventstore.mapper import PERSONAL, subject_of
from replay.base import ReplayError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from domain.base import State
    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log


class NobodyThere(ReplayError):
    """There are no events of such a record."""


@dataclass(frozen=True, slots=True)
class Records:
    """The records that go with one, in the order of their first events, and all their events."""

    id: UUID
    of: dict[UUID, type[State[Any]]]
    events: list[RecordedEvent]

    @property
    def keys(self) -> set[UUID]:
        """Under whose keys their personal values stand."""
        return {
            subject_of(recorded.event, recorded.stream_id)
            for recorded in self.events
            if PERSONAL[type(recorded.event)]
        }

    def values(self) -> Iterator[str]:
        """Every personal text in them that can be read."""
        for recorded in self.events:
            for name in PERSONAL[type(recorded.event)]:
                yield from _texts(getattr(recorded.event, name))


def records_of(log: Log, id: UUID) -> Records:
    """All that goes with a lead, customer, contact, ticket or user; and what was decided of it."""
    first = next(iter(log.read_stream(id)), None)
    if first is None:
        raise NobodyThere(f"there are no events of {id}")
    world = Onlooker(log, id, first.actor)
    roots: dict[UUID, type[State[Any]]] = {id: log.state_of(first.event)}
    if roots[id] is Lead and (conversion := world.load(Lead, id).conversion):
        roots[conversion.contact_id] = Contact
    of, _ = reach(world, roots)
    streams = [*of, *(subject_stream(record) for record in of)]
    events = [recorded for stream in streams for recorded in log.read_stream(stream)]
    return Records(id, of, sorted(events, key=lambda recorded: recorded.position))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _texts(part)
        case _:
            if value is not None and value is not HIDDEN and not isinstance(value, bool):
                yield str(value)
