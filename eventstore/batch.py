"""A batch of decisions: each sees what the ones before it decided, all are stored together."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from uuid import UUID, uuid5

from domain import EVENTS
from domain.base import Event, Refusal, State, aggregate_of, fold
from eventstore.envelope import NewEvent
from eventstore.errors import (
    EventStoreError,
    IdempotencyKeyReused,
    OccurredInTheFuture,
    StaleVersion,
)
from eventstore.intent import Receipt
from eventstore.naming import NamesFarBehind, Naming, named_by
from eventstore.optimistic import Outdated, Presumed
from eventstore.replies import outcome_to_reply, reply_to_outcome
from eventstore.reservations import Claims, Reservations
from eventstore.states import Held, blank
from eventstore.transaction import Sought

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from domain.undo import Conflicts
    from eventstore.intent import Addressed, IdempotencyKey, Intent, Outcome
    from eventstore.log import Log
    from eventstore.states import States
    from eventstore.transaction import End, Transaction

R = TypeVar("R", bound=State[Any])


TELLING = {event for event in EVENTS.values() if "conflicts" in event.model_fields}
"""Events of an undo. To ask each whether it has the field would take 1.6 µs."""

TAIL_MAX = 500
"""How many events of one stream may be read while all other writers wait: a few milliseconds."""


class WrongAggregate(Refusal):
    """The id {id} belongs to a {found}, not to a {wanted}."""


class FarBehind(Exception):
    """What is known of these streams lies far behind the log; nothing was decided yet."""

    def __init__(self, streams: Sequence[UUID]) -> None:
        self.streams = streams
        super().__init__(*streams)


class Decision(NamedTuple):
    """What `decide` may look at (commands.base.World): the newest states there are."""

    batch: Batch
    intent: Intent

    @property
    def id(self) -> UUID:
        """The stream the command was sent to."""
        return self.intent.stream_id

    @property
    def begun(self) -> bool:
        """Whether that stream has events."""
        return self.batch.held(self.intent.of, self.id).version > 0

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

    def naming(self, ids: frozenset[UUID]) -> Iterable[Naming]:
        """The events that name one of these records."""
        batch, turn = self.batch, self.batch.turn
        yield from batch.log.names.under_lock(turn.cursor, ids, turn.last_position)
        for new in batch.events:
            if ids & set((named := named_by(new.event)).values()):
                yield Naming(batch.log.state_of(new.event), new.stream_id, named)

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

    turn: Transaction

    def __init__(
        self, log: Log, states: States, intents: Sequence[Intent], *, careful: bool
    ) -> None:
        self.log = log
        self.states = states
        self.intents = intents
        self.careful = careful
        self.reservations = Reservations(log.keys, careful=careful)
        self.outcomes: list[Outcome] = []
        self.events: list[NewEvent] = []
        self._held: dict[UUID, Held] = {}
        self._heads: dict[UUID, int] = {}
        self._replies: dict[tuple[bytes, str], tuple[bytes, Outcome]] = {}
        self._told: list[tuple[IdempotencyKey, int]] = []  # keys of outcomes that are to be kept
        self._done: dict[UUID, list[tuple[UUID, int, int]]] = {}
        self._doing: dict[UUID, int] = {}  # commands that count once, and their outcomes
        self._unproved = False
        """Whether nothing shows that an idempotency key is new: it is not stored with a reply."""

    def sought(self) -> Sought:
        """What the decisions will look at, as far as it can be told."""
        intents = self.intents
        streams = chain((i.stream_id for i in intents), *(i.looks.streams for i in intents))
        return Sought(
            tuple(dict.fromkeys(streams)),
            tuple((i.context.key.scope, i.context.key.key) for i in intents if i.context.key),
            self.reservations.hashes(chain(*(i.looks.claims for i in intents))),
        )

    @property
    def has_to_look(self) -> bool:
        """Whether a command counts once: what it did is looked up, and proved by nothing."""
        return any(intent.context.once for intent in self.intents)

    def presumed(self, end: End) -> Presumed:
        """What the decisions will look at, if `end` is still the newest event."""
        heads: dict[UUID, int] = {}
        blank: set[UUID] = set()
        unknown: list[UUID] = []
        for intent in self.intents:
            for stream_id in (intent.stream_id, *intent.looks.streams):
                held = self.states.newest(stream_id)
                if held is not None:
                    self._held[stream_id] = held
                    heads[stream_id] = held.version
                elif intent.looks.starts and stream_id == intent.stream_id:
                    blank.add(stream_id)
                elif stream_id not in blank:
                    unknown.append(stream_id)
        dated = any(intent.context.occurred_at for intent in self.intents)
        return Presumed(end, heads, blank, Sought(tuple(dict.fromkeys(unknown))), dated)

    def must_prove(self, blank: AbstractSet[UUID]) -> None:
        """Raise Outdated if it could be stored though one of these streams has events.

        Or though an idempotency key was used before.
        """
        begun = {new.stream_id for new in self.events if new.version == 1}
        if self._unproved or not blank <= begun:
            raise Outdated

    def decide(self, turn: Transaction) -> None:
        """Take each decision on the states that the ones before it lead to."""
        self.turn = turn
        if turn.forgot:
            self.states.clear()  # they may hold what nobody is to read any more
        self._heads = turn.known.heads
        self.reservations.begin(turn)
        for key, (digest, reply) in turn.known.replies.items():
            self._replies[key] = digest, reply_to_outcome(reply)
        long = [(id_, head) for id_, head in self._heads.items() if head > TAIL_MAX]
        if behind := [id_ for id_, head in long if self._is_far(id_, head)]:
            raise FarBehind(behind)
        if once := [one.context for one in self.intents if self._may_be_done(one)]:
            self._done = turn.events_of(once)
        for intent in self.intents:
            self.outcomes.append(self._outcome(intent))

    def _may_be_done(self, intent: Intent) -> bool:
        """Whether a command that counts once may have done something before.

        One that starts its stream has not while that is blank; had it after all, the log refuses
        its event a second time, and the batch is decided again, carefully.
        """
        begun = self._heads[intent.stream_id] or not intent.looks.starts
        return self.careful or (intent.context.once and bool(begun))

    def append(self, turn: Transaction) -> list[UUID]:
        """Store what was decided; the ids of the events tell later whether it was."""
        self.reservations.must_be_sure()
        positions = turn.append(self.events, self._blank())
        turn.free(self.reservations.freed_at(positions))
        self.outcomes = [
            outcome.resolved(self.outcomes) if isinstance(outcome, Pending) else outcome
            for outcome in self.outcomes
        ]
        turn.keep(
            self.reservations.taken_at(positions),
            {
                (key.scope, key.key): (key.digest, outcome_to_reply(self.outcomes[number]))
                for key, number in self._told
            },
        )
        return [new.event_id for new in self.events]

    def _blank(self) -> set[UUID]:
        """The streams that begin in this batch: as a rule there is no key for them yet."""
        return set() if self.careful else {id_ for id_, head in self._heads.items() if not head}

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
            held = blank(of)
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

    def _is_far(self, stream_id: UUID, head: int) -> bool:
        held = self.states.get(stream_id)
        return held is None or head - held.version > TAIL_MAX

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
        except NamesFarBehind:
            raise
        except (EventStoreError, Refusal) as error:
            # With its traceback it would hold the whole batch, and the batch it.
            outcome = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - a bug: the answer to this one only
            outcome = error
        if context.key is not None and not isinstance(outcome, Receipt | Refusal):
            self._unproved = True
        elif context.key is not None:
            key = context.key
            self._replies[key.scope, key.key] = key.digest, Pending(len(self.outcomes))
            if not (key.derived and isinstance(outcome, Receipt) and outcome.events):
                self._told.append((key, len(self.outcomes)))
        return outcome

    def _known(self, intent: Intent) -> Outcome | None:
        """The answer, if this was asked before."""
        context = intent.context
        key = context.key
        if key is not None and (key.scope, key.key) in self._replies:
            digest, reply = self._replies[key.scope, key.key]
            if digest != key.digest:
                return IdempotencyKeyReused(
                    "the idempotency key was used before, with another body"
                )
            return reply
        if not self._doing and not self._done:
            return None
        if context.command_id in self._doing:
            return Pending(self._doing[context.command_id], again=True)
        if events := self._done.get(context.command_id):
            own = [version for stream, version, _ in events if stream == intent.stream_id]
            version = max(own, default=self._heads[intent.stream_id])
            return Receipt(intent.stream_id, version, max(at for _, _, at in events), 0)
        return None

    def _decided(self, intent: Intent) -> Receipt:
        context = intent.context
        if context.occurred_at is not None and context.occurred_at > self.turn.now:
            raise OccurredInTheFuture(context.occurred_at, self.turn.now)
        held = self.held(intent.of, intent.stream_id)
        if context.expected_version is not None and context.expected_version != held.version:
            raise StaleVersion(context.expected_version, held.version)
        decided = list(intent.decide(Decision(self, intent), held.state))
        version = self._take_in(intent, decided, held).version
        if context.once and decided:
            self._doing[context.command_id] = len(self.outcomes)
        # Positions follow on each other, so they can be told before anything is stored. A wish may
        # be true already because of what came before it in this batch.
        position = self.turn.last_position + len(self.events)
        return Receipt(intent.stream_id, version, position, len(decided), _conflicts(decided))

    def _take_in(self, intent: Intent, decided: Sequence[Event | Addressed], own: Held) -> Held:
        """Let the events of one decision become true for the next ones: all, or none.

        `own` is the state of its own stream; returned is the one after.
        """
        changed: dict[UUID, Held] = {}
        new: list[NewEvent] = []
        reserved: list[tuple[Claims, Claims, UUID]] = []
        for item in decided:
            stream_id, event = (
                (intent.stream_id, item)
                if isinstance(item, Event)
                else (item.stream_id, item.event)
            )
            self.log.forgotten.refuse(event, stream_id)
            of = self.log.state_of(event)
            at_home = stream_id is intent.stream_id and of is intent.of
            held = changed.get(stream_id) or (own if at_home else self.held(of, stream_id))
            state = held.state.evolve(event)
            freed, taken = self.reservations.changes(held.state, state)
            if taken:
                self.reservations.check(taken, freed, stream_id)
            reserved.append((freed, taken, stream_id))
            changed[stream_id] = Held(held.version + 1, state)
            new.append(self._enveloped(intent, len(new), stream_id, held.version + 1, event))
        for number, (freed, taken, stream_id) in enumerate(reserved, start=len(self.events)):
            if freed or taken:
                self.reservations.apply(freed, taken, stream_id, number)
        self.events += new
        self._held |= changed
        return changed.get(intent.stream_id, own)

    def _enveloped(
        self, intent: Intent, number: int, stream_id: UUID, version: int, event: Event
    ) -> NewEvent:
        context = intent.context
        return NewEvent(
            context.event_id(number),
            stream_id,
            version,
            context.occurred_at,
            context.actor,
            context.correlation_id,
            context.causation_id,
            event,
        )


def _conflicts(decided: Sequence[Event | Addressed]) -> Conflicts | None:
    """What an undo leaves as it is, by the events that tell of it."""
    events = (item if isinstance(item, Event) else item.event for item in decided)
    told = [event.conflicts for event in events if type(event) in TELLING]  # type: ignore[attr-defined]
    return tuple(chain(*told)) if told else None


class Pending(Exception):
    """The outcome, still to come, of an intent of this batch that was the same wish."""

    def __init__(self, number: int, *, again: bool = False) -> None:
        self.number, self.again = number, again
        super().__init__(number)

    def resolved(self, outcomes: Sequence[Outcome]) -> Outcome:
        """That outcome; asked `again`, nothing more was appended."""
        outcome = outcomes[self.number]
        if self.again and isinstance(outcome, Receipt):
            return outcome._replace(events=0)
        return outcome
