"""What is asked of the log, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec import Struct, field

from eventstore.envelope import derived, event_id, uuid7

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from uuid import UUID

    from domain.base import Event, State
    from domain.undo import Conflicts
    from eventstore.batch import Decision
    from eventstore.promise import Promise


class Addressed(Protocol):
    """An event for another stream than the one the decision was asked of."""

    @property
    def stream_id(self) -> UUID:
        """Where it goes."""

    @property
    def event(self) -> Event:
        """What happened there."""


class IdempotencyKey(Struct, frozen=True):
    """A client's word for one wish: `scope` is who asks what of whom, `digest` the body.

    It is stored as it is: doors give a keyed hash of what a client sent, which may name a person.
    """

    scope: bytes
    key: str
    digest: bytes
    derived: bool = False
    """Whether it follows from a wish that counts `once`: what was appended then needs no reply
    kept beside it, only what was refused, or true already."""


class Context(Struct, frozen=True):
    """Who asks, because of what, and how often it may count."""

    actor: UUID
    correlation_id: UUID
    causation_id: UUID | None = None
    occurred_at: datetime | None = None
    command_id: UUID = field(default_factory=uuid7)
    once: bool = False
    """Answer with what `command_id` did if it appended before: for imports and policies."""
    expected_version: int | None = None
    key: IdempotencyKey | None = None
    first_event_id: UUID | None = None
    """The id of the first event, where that is the same one in another log."""

    def event_id(self, number: int) -> UUID:
        """The id of the event of this number, from 0, that the command appends."""
        if number == 0 and self.first_event_id is not None:
            return self.first_event_id
        if self.once:  # asked for twice: when it is looked up, and when it is stored
            return event_id(self.command_id, number)
        return derived(self.command_id, str(number))


class Looks(Struct, frozen=True):
    """What a decision will look at beside its own stream, as far as it can be told beforehand.

    It is looked up for the whole batch in one trip; what was not told costs a trip each.
    """

    streams: tuple[UUID, ...] = ()
    claims: tuple[tuple[str, str], ...] = ()
    """Reservations as (kind, value)."""
    starts: bool = False
    """Whether it may start its own stream, which most likely has no events then."""


class Receipt(NamedTuple):
    """What a command did: the stream's version and the position of its last event.

    When it appended nothing, because the wish was true already, `events` is 0 and `position` is
    that of the newest event then in the log. `conflicts` are those of an undo: what it left as it
    is; None when nothing was undone.
    """

    id: UUID
    version: int
    position: int
    events: int
    conflicts: Conflicts | None = None


Outcome = Receipt | Exception
"""A receipt, or the `Refusal` or `EventStoreError` that is the answer."""


NOTHING = Looks()
STARTS = Looks(starts=True)


class Intent(Struct, frozen=True):
    """A decision waiting for its turn."""

    stream_id: UUID
    of: type[State[Any]]
    decide: Callable[[Decision, Any], Iterable[Event | Addressed]]
    context: Context
    promise: Promise
    looks: Looks = NOTHING


class Writes(Protocol):
    """The writer, or what stands in for it in a rehearsal."""

    def submit(
        self,
        stream_id: UUID,
        of: type[State[Any]],
        decide: Callable[[Any, Any], Iterable[Any]],
        context: Context,
        looks: Looks = NOTHING,
    ) -> Promise:
        """Queue a decision on a stream."""
