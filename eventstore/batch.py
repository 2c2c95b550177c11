"""A batch of decisions: each sees what the ones before it decided, all are stored together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID, uuid5

from pydantic_core import to_jsonable_python

from domain.base import Event, Refusal, State, aggregate_of, fold
from eventstore.envelope import NewEvent
from eventstore.errors import IdempotencyKeyReused, OccurredInTheFuture, StaleVersion
from eventstore.intent import Receipt
from eventstore.reservations import Reservations
from eventstore.states import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.intent import Addressed, Intent, Outcome
    from eventstore.log import Log
    from eventstore.states import States
    from eventstore.transaction import Transaction

R = TypeVar("R", bound=State[Any])


class WrongAggregate(Refusal):
    """The id {id} belongs to a {found}, not to a {wanted}."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What `decide` may look at (commands.base.World): the newest states there are."""

    batch: Batch
    intent: Intent

    @property
    def id(self) -> UUID:
        """The stream the command was sent to."""
        return self.intent.stream_id

    @property
    def actor(self) -> UUID:
        """The user who asks."""
        return self.intent.context.actor

    def load(self, of: type[R], stream_id: UUID) -> R:
        """The state of a stream; blank when it has no events."""
        return cast("R", self.batch.held(of, stream_id).state)

    def holder(self, kind: str, value: str) -> UUID | None:
        """The stream that holds a reservation."""
        return self.batch.reservations.holder(kind, value)

    def new_id(self, purpose: str) -> UUID:
        """An id derived from the command. Nothing has it yet, which saves looking it up.

        Should something have it all the same, the log refuses the version, and the batch is
        decided again, carefully.
        """
        new = uuid5(self.intent.context.command_id, purpose)
        if not self.batch.careful:
            self.batch.presume_blank(new)
        return new


class Batch:
    """Decides intents one after the other under the lock of the log, then appends their events."""

    reservations: Reservations
    turn: Transaction

    def __init__(self, log: Log, states: States, *, careful: bool) -> None:
        self.log = log
        self.states = states
        self.careful = careful
        self.outcomes: list[Outcome] = []
        self.events: list[NewEvent] = []
        self._of: list[tuple[int, int, Intent, int]] = []  # outcome, events before, intent, version
        self._held: dict[UUID, Held] = {}
        self._heads: dict[UUID, int] = {}
        self._replies: dict[tuple[bytes, str], tuple[bytes, Outcome | int]] = {}
        self._done: dict[UUID, tuple[UUID, int, int]] = {}

    def decide(self, turn: Transaction, intents: Sequence[Intent]) -> None:
        """Take each decision on the states that the ones before it lead to."""
        self.turn = turn
        self.reservations = Reservations(turn, self.log.keys, careful=self.careful)
        self._heads = turn.heads(intent.stream_id for intent in intents)
        keys = [(i.context.key.scope, i.context.key.key) for i in intents if i.context.key]
        if keys:
            for key, (digest, reply) in turn.replies(keys).items():
                self._replies[key] = digest, reply_to_outcome(reply)
        firsts = [first_event(i) for i in intents if i.context.once or self.careful]
        if firsts:
            self._done = turn.recorded(firsts)
        for intent in intents:
            self.outcomes.append(self._outcome(intent))

    def append(self, turn: Transaction) -> list[UUID]:
        """Store what was decided; the ids of the events tell later whether it was."""
        positions = turn.append(self.events)
        self.reservations.write(positions)
        for number, before, intent, version in self._of:
            count = self.outcomes[number].events  # type: ignore[union-attr]
            position = positions[before + count - 1] if count else turn.last_position
            self.outcomes[number] = Receipt(intent.stream_id, version, position, count)
        turn.store_replies(
            {
                key: (digest, outcome_to_reply(self.outcomes[found]))
                for key, (digest, found) in self._replies.items()
                if isinstance(found, int)
            }
        )
        for key, (digest, found) in self._replies.items():
            if isinstance(found, int):
                self._replies[key] = digest, self.outcomes[found]
        self.outcomes = [
            self._replies[(i.scope, i.key)][1] if isinstance(i, Pending) else i  # type: ignore[misc]
            for i in self.outcomes
        ]
        return [new.event_id for new in self.events]

    def publish(self) -> None:
        """Keep the states the commit made true."""
        for stream_id, held in self._held.items():
            self.states.put(stream_id, held)

    def held(self, of: type[State[Any]], stream_id: UUID) -> Held:
        """The newest state of a stream: what is cached, and the tail it may lack."""
        found = self._held.get(stream_id)
        if found is not None:
            self._belongs(found.state, of, stream_id)
            return found
        head = self._heads.get(stream_id)
        if head is None:
            head = self._heads[stream_id] = self.turn.heads([stream_id])[stream_id]
        held = self.states.get(stream_id)
        if held is None or held.version > head or (held.version and not isinstance(held.state, of)):
            held = Held(0, of())
        if held.version < head:
            tail = self.turn.tail(stream_id, held.version)
            if tail and tail[0].event.type.split(".")[0] != aggregate_of(of):
                raise WrongAggregate(
                    id=stream_id, found=tail[0].event.type.split(".")[0], wanted=aggregate_of(of)
                )
            held = Held(head, fold(held.state, (recorded.event for recorded in tail)))
        if held.version:
            self._held[stream_id] = held
        return held

    def presume_blank(self, stream_id: UUID) -> None:
        """Take it that a stream has no events, unless it is known to have some."""
        self._heads.setdefault(stream_id, 0)

    def _belongs(self, state: State[Any], of: type[State[Any]], stream_id: UUID) -> None:
        if not isinstance(state, of):
            raise WrongAggregate(
                id=stream_id, found=aggregate_of(type(state)), wanted=aggregate_of(of)
            )

    def _outcome(self, intent: Intent) -> Outcome:
        context = intent.context
        known = self._known(intent)
        if known is not None:
            return known
        outcome: Outcome
        try:
            outcome = self._decided(intent)
        except Exception as error:  # noqa: BLE001 - a refusal or a bug: the answer to this one only
            outcome = error
        if context.key is not None and isinstance(outcome, Receipt | Refusal):
            key = context.key.scope, context.key.key
            self._replies[key] = context.key.digest, len(self.outcomes)
        return outcome

    def _known(self, intent: Intent) -> Outcome | None:
        """The answer, if this was asked before."""
        key = intent.context.key
        if key is not None and (key.scope, key.key) in self._replies:
            digest, reply = self._replies[key.scope, key.key]
            if digest != key.digest:
                return IdempotencyKeyReused(f"the key {key.key!r} was used with another body")
            return Pending(key.scope, key.key) if isinstance(reply, int) else reply
        if first_event(intent) in self._done:
            _, _, position = self._done[first_event(intent)]
            return Receipt(intent.stream_id, self._heads[intent.stream_id], position, 0)
        return None

    def _decided(self, intent: Intent) -> Receipt:
        context = intent.context
        if context.occurred_at is not None and context.occurred_at > self.turn.now:
            raise OccurredInTheFuture(context.occurred_at, self.turn.now)
        held = self.held(intent.of, intent.stream_id)
        if context.expected_version is not None and context.expected_version != held.version:
            raise StaleVersion(context.expected_version, held.version)
        before = len(self.events)
        decided = list(intent.decide(Decision(self, intent), held.state))
        self._take_in(intent, decided)
        version = self.held(intent.of, intent.stream_id).version
        self._of.append((len(self.outcomes), before, intent, version))
        if context.once and decided:
            self._done[first_event(intent)] = intent.stream_id, version, self.turn.last_position
        return Receipt(intent.stream_id, version, 0, len(decided))

    def _take_in(self, intent: Intent, decided: Sequence[Event | Addressed]) -> None:
        """Let the events of one decision become true for the next ones: all, or none."""
        changed: dict[UUID, Held] = {}
        new: list[NewEvent] = []
        reserved: list[tuple[set[tuple[str, str]], set[tuple[str, str]], UUID]] = []
        for item in decided:
            stream_id, event = (
                (intent.stream_id, item)
                if isinstance(item, Event)
                else (item.stream_id, item.event)
            )
            held = changed.get(stream_id) or self.held(self.log.state_of(event), stream_id)
            state = held.state.evolve(event)
            freed, taken = self.reservations.changes(held.state, state)
            self.reservations.check(taken, freed, stream_id)
            reserved.append((freed, taken, stream_id))
            changed[stream_id] = Held(held.version + 1, state)
            new.append(self._enveloped(intent, len(new), stream_id, held.version + 1, event))
        for number, (freed, taken, stream_id) in enumerate(reserved, start=len(self.events)):
            self.reservations.apply(freed, taken, stream_id, number)
        self.events += new
        self._held |= changed

    def _enveloped(
        self, intent: Intent, number: int, stream_id: UUID, version: int, event: Event
    ) -> NewEvent:
        context = intent.context
        return NewEvent(
            event_id=uuid5(context.command_id, str(number)),
            stream_id=stream_id,
            version=version,
            occurred_at=context.occurred_at,
            actor=context.actor,
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
            event=event,
        )


class Pending(Exception):
    """The reply another intent of this batch, with the same idempotency key, is about to get."""

    def __init__(self, scope: bytes, key: str) -> None:
        self.scope, self.key = scope, key
        super().__init__(key)


def first_event(intent: Intent) -> UUID:
    """The id of the first event that a command appends, if it appends any."""
    return uuid5(intent.context.command_id, "0")


def outcome_to_reply(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON, to be stored under an idempotency key."""
    if isinstance(outcome, Receipt):
        return {
            "id": str(outcome.id),
            "version": outcome.version,
            "position": outcome.position,
            "events": outcome.events,
        }
    details = outcome.details if isinstance(outcome, Refusal) else {}
    return {
        "refusal": type(outcome).__name__,
        "details": to_jsonable_python(details, fallback=str),
    }


def reply_to_outcome(reply: dict[str, Any]) -> Outcome:
    """The outcome a stored reply stands for."""
    if "refusal" not in reply:
        return Receipt(UUID(reply["id"]), reply["version"], reply["position"], reply["events"])
    refusal = next(
        (known for known in _refusals(Refusal) if known.__name__ == reply["refusal"]), Refusal
    )
    return refusal(**reply["details"])


def _refusals(root: type[Refusal]) -> list[type[Refusal]]:
    return [root, *(found for child in root.__subclasses__() for found in _refusals(child))]
