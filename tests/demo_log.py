"""The two years of the demo as a log, told in memory: real stories for tests of reports.

Unlike in a workspace told today, every event is recorded when its story says it was written down,
so that both axes of time have something to tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid5

from cli.demo.history import history
from commands.base import On
from domain.base import Event, State
from domain.score import Score, score_id
from domain.user import MODELS
from eventstore.envelope import RecordedEvent
from eventstore.naming import STATES, Naming, named_by
from learning import LEARNERS
from learning.base import Training

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.demo.steps import Step

R = TypeVar("R", bound=State[Any])

END = datetime(2026, 7, 1, tzinfo=UTC)


@cache
def demo_log(end: datetime = END) -> tuple[RecordedEvent, ...]:
    """Everything that was recorded in the two years, and what the learners said of it."""
    teller = Teller()
    for step in history(end):
        teller.tell(step)
    return tuple(teller.log)


@dataclass
class Teller:
    """A log in memory, and the world its commands are decided in."""

    log: list[RecordedEvent] = field(default_factory=list)
    states: dict[UUID, State[Any]] = field(default_factory=dict)
    versions: dict[UUID, int] = field(default_factory=dict)
    holders: dict[tuple[str, str], UUID] = field(default_factory=dict)
    trainings: list[Training] = field(
        default_factory=lambda: [Training(learner()) for learner in LEARNERS]
    )

    def tell(self, step: Step) -> None:
        """Decide a step, and record what follows from it."""
        world = Asked(self, step)
        decided = step.command.decided(world, world.load(step.command.of, step.stream))
        for item in list(decided):
            on = item if isinstance(item, On) else On(step.stream, item)
            recorded = self._record(on.stream_id, on.event, step)
            for said in self._said(recorded):
                cause = replace(step, actor=MODELS)
                self._record(score_id(said.learner, said.subject_id), said, cause)

    def _said(self, recorded: RecordedEvent) -> Iterator[Any]:
        for training in self.trainings:
            if isinstance(recorded.event, training.learner.follows):
                yield from training.follow(recorded)

    def _record(self, stream_id: UUID, event: Event, step: Step) -> RecordedEvent:
        before = self.states.get(stream_id) or STATES[type(event)]()
        after = self.states[stream_id] = before.evolve(event)
        for held in set(before.holds()) - set(after.holds()):
            del self.holders[held]
        self.holders |= dict.fromkeys(after.holds(), stream_id)
        self.versions[stream_id] = self.versions.get(stream_id, 0) + 1
        recorded = RecordedEvent(
            event_id=uuid5(step.command_id, f"{stream_id} {self.versions[stream_id]}"),
            stream_id=stream_id,
            version=self.versions[stream_id],
            occurred_at=step.at,
            actor=step.actor,
            correlation_id=step.command_id,
            causation_id=self.log[-1].event_id if isinstance(after, Score) else None,
            event=event,
            position=2 * len(self.log) + 1,  # positions rise, and are not dense
            recorded_at=step.logged,
        )
        self.log.append(recorded)
        return recorded


@dataclass
class Asked:
    """What a decision may look at."""

    teller: Teller
    step: Step

    @property
    def id(self) -> UUID:
        """The stream the command was sent to."""
        return self.step.stream

    @property
    def actor(self) -> UUID:
        """The user who asks."""
        return self.step.actor

    @property
    def begun(self) -> bool:
        """Whether that stream has events."""
        return any(recorded.stream_id == self.id for recorded in self.teller.log)

    def load(self, of: type[R], stream_id: UUID) -> R:
        """The state of a stream; blank when it has no events."""
        state = self.teller.states.get(stream_id)
        return state if isinstance(state, of) else of()

    def holder(self, kind: str, value: str) -> UUID | None:
        """The stream that holds a reservation."""
        return self.teller.holders.get((kind, value))

    def naming(self, ids: frozenset[UUID]) -> Iterator[Naming]:
        """The events that name one of these records."""
        for recorded in self.teller.log:
            if ids & set((named := named_by(recorded.event)).values()):
                yield Naming(STATES[type(recorded.event)], recorded.stream_id, named)

    def new_id(self, purpose: str) -> UUID:
        """An id derived from the command."""
        return uuid5(self.step.command_id, purpose)
