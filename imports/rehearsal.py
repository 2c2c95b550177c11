"""A writer for rehearsals: it decides as the real one would, and stores nothing."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID, uuid5

from domain.base import Event, State, fold
from eventstore.intent import NOTHING, Receipt
from eventstore.promise import Promise
from eventstore.reservations import AlreadyHeld
from imports.spill import Spill, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from eventstore.intent import Addressed, Context, Looks
    from eventstore.log import Log
    from eventstore.naming import Naming

HOLDER = "SELECT stream_id FROM reservation WHERE hash = %s AND freed_position IS NULL"

STATES_MAX = 10_000

R = TypeVar("R", bound=State[Any])


@dataclass(frozen=True, slots=True)
class Stage:
    """What one decision may look at (commands.base.World)."""

    rehearsal: Rehearsal
    id: UUID
    context: Context

    @property
    def actor(self) -> UUID:
        """The user who asks."""
        return self.context.actor

    @property
    def begun(self) -> bool:
        """Whether that stream has events in the log."""
        return self.rehearsal.log.heads([self.id])[self.id] > 0

    def load(self, of: type[R], stream_id: UUID) -> R:
        """The state of a stream, with what this rehearsal added."""
        return cast("R", self.rehearsal.state(of, stream_id))

    def holder(self, kind: str, value: str) -> UUID | None:
        """The stream that holds a reservation."""
        return self.rehearsal.holder(kind, value)

    def naming(self, ids: frozenset[UUID]) -> Iterable[Naming]:
        """The events of the log that name one of these records."""
        return self.rehearsal.log.names.look(ids)

    def new_id(self, purpose: str) -> UUID:
        """The id the writer would derive."""
        return uuid5(self.context.command_id, purpose)


@dataclass
class Rehearsal:
    """The log as it is, and in memory what an import would add."""

    log: Log
    spill: Spill = field(default_factory=Spill)
    states: OrderedDict[UUID, State[Any]] = field(default_factory=OrderedDict)
    """Those used last; others are spilled."""

    def submit(
        self,
        stream_id: UUID,
        of: type[State[Any]],
        decide: Callable[[Any, Any], Iterable[Event | Addressed]],
        context: Context,
        looks: Looks = NOTHING,
    ) -> Promise:
        """Decide at once; the promise is kept."""
        del looks  # here every look is made when it is needed
        stage = Stage(self, stream_id, context)
        try:
            decided = list(decide(stage, self.state(of, stream_id)))
            self._take_in(stream_id, decided)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return Promise(error)
        return Promise(Receipt(stream_id, 0, 0, len(decided)))

    def state(self, of: type[State[Any]], stream_id: UUID) -> State[Any]:
        """The state of a stream."""
        found = self.states.get(stream_id) or self.spill.get(key_of(stream_id))
        if found is None:
            events = self.log.read_stream(stream_id)
            found = fold(of(), (recorded.event for recorded in events))
        self._keep(stream_id, found)
        return cast("State[Any]", found)

    def _keep(self, stream_id: UUID, state: State[Any]) -> None:
        self.states[stream_id] = state
        self.states.move_to_end(stream_id)
        while len(self.states) > STATES_MAX:
            oldest, spilled = self.states.popitem(last=False)
            self.spill.put(key_of(oldest), spilled)

    def holder(self, kind: str, value: str) -> UUID | None:
        """The stream that holds a reservation."""
        known = self.spill.get(self.spill.hash(f"{kind}\x1f{value}"))
        return self._holder_in_the_log(kind, value) if known is None else known[0]

    def _holder_in_the_log(self, kind: str, value: str) -> UUID | None:
        if self.log.keys is None:
            raise RuntimeError("reservations need the workspace's keys")
        with self.log.cursor() as cursor:
            cursor.execute(HOLDER, (self.log.keys.keyed_hash(kind, value),))
            found = cursor.fetchone()
        return found["stream_id"] if found else None

    def _take_in(self, own: UUID, decided: Iterable[Event | Addressed]) -> None:
        changed: dict[UUID, State[Any]] = {}
        held: dict[tuple[str, str], UUID | None] = {}
        for item in decided:
            stream_id, event = (
                (own, item) if isinstance(item, Event) else (item.stream_id, item.event)
            )
            before = changed.get(stream_id) or self.state(self.log.state_of(event), stream_id)
            after = changed[stream_id] = before.evolve(event)
            held |= dict.fromkeys(set(before.holds()) - set(after.holds()))
            for kind, value in set(after.holds()) - set(before.holds()):
                if self.holder(kind, value) not in {None, stream_id}:
                    raise AlreadyHeld(kind=kind)
                held[kind, value] = stream_id
        for stream_id, state in changed.items():
            self._keep(stream_id, state)
        for (kind, value), holder in held.items():
            self.spill.put(self.spill.hash(f"{kind}\x1f{value}"), (holder,))
