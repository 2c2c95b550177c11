"""Commands under way: many at once, as many as the writer can take, answers in order."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from domain.base import Refusal
from eventstore.errors import OccurredInTheFuture, Overloaded
from eventstore.intent import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from commands.base import Command
    from eventstore.intent import Writes
    from eventstore.promise import Promise
    from imports.change import Change
    from imports.rows import Row

IN_FLIGHT_MAX = 2_000
FULL_SECONDS = 0.01


class Answer(NamedTuple):
    """What a command of a row came to; later, when `promise` is kept."""

    verb: str
    promise: Promise
    clipped: bool


@dataclass(slots=True)
class Outcome:
    """What became of a row."""

    row: Row
    known: bool
    """Whether it was imported before, in another version."""
    reasons: list[str]
    commands: int = 0
    skipped: int = 0
    events: int = 0
    clipped: int = 0


class Flight:
    """Rows whose commands were handed to the writer and not answered yet."""

    def __init__(
        self, writer: Writes, actor: UUID, run_id: UUID, landed: Callable[[Outcome], None]
    ) -> None:
        self.writer, self.actor, self.run_id, self.landed = writer, actor, run_id, landed
        self._rows: deque[tuple[Row, bool, Sequence[Answer]]] = deque()
        self._commands = 0

    def ask(
        self,
        row: Row,
        command: Command[Any] | Change,
        at: datetime | None,
        id_: UUID,
        *,
        clipped: bool,
        event_id: UUID | None = None,
    ) -> Answer:
        """Hand a command to the writer; when its queue is full, wait."""
        context = Context(
            actor=row.actor or self.actor,
            correlation_id=self.run_id,
            causation_id=row.version,
            occurred_at=at,
            command_id=id_,
            once=True,
            first_event_id=event_id,
        )
        looks = command.looks()
        while True:
            promise = self.writer.submit(row.stream_id, command.of, command.decided, context, looks)
            if not (promise.done() and isinstance(promise.exception(), Overloaded)):
                return Answer(type(command).__name__, promise, clipped)
            time.sleep(FULL_SECONDS)

    def add(self, row: Row, answers: Sequence[Answer], *, known: bool) -> None:
        """Keep a row until its answers are there; with too many under way, land the oldest."""
        self._rows.append((row, known, answers))
        self._commands += len(answers)
        while self._commands > IN_FLIGHT_MAX:
            self._land()

    def land_all(self) -> None:
        """Wait for every answer."""
        while self._rows:
            self._land()

    def _land(self) -> None:
        row, known, answers = self._rows.popleft()
        self._commands -= len(answers)
        outcome = Outcome(row, known, [])
        for answer in answers:
            error = answer.promise.exception()  # raised, it would hold on to all of this
            if isinstance(error, Refusal | OccurredInTheFuture):
                outcome.reasons.append(f"{answer.verb}: {error}")
                continue
            events = answer.promise.result().events
            outcome.events += events
            outcome.commands += bool(events)
            outcome.skipped += not events
            outcome.clipped += answer.clipped and bool(events)
        self.landed(outcome)
