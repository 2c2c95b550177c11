"""What is known, for who looks at a decision without taking it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from domain.base import State, fold

if TYPE_CHECKING:
    from uuid import UUID

    from eventstore.log import Log
    from eventstore.naming import Naming

R = TypeVar("R", bound=State[Any])


@dataclass(frozen=True, slots=True)
class Onlooker:
    """What a decision would look at (commands.base.Known), read from the log."""

    log: Log
    id: UUID
    actor: UUID

    @property
    def begun(self) -> bool:
        """Whether that stream has events."""
        return self.log.heads([self.id])[self.id] > 0

    def load(self, of: type[R], stream_id: UUID) -> R:
        """The state of a stream; blank when it has no events of this aggregate."""
        events = [recorded.event for recorded in self.log.read_stream(stream_id)]
        return fold(of(), events) if events and self.log.state_of(events[0]) is of else of()

    def naming(self, ids: frozenset[UUID]) -> list[Naming]:
        """The events that name one of these records."""
        return self.log.names.look(ids)
