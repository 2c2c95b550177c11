"""A score: what a learner said of a subject, with everything it said it from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, assert_never
from uuid import UUID, uuid5

from pydantic import Field, FiniteFloat

from domain.base import Event, State, replace
from domain.values import Line, Text, Whole

SCORES = UUID("b1c4a8de-7a32-5c0e-8f61-2d9b8a4f0c55")
"""Namespace of the streams: what one learner says of one subject is a stream."""

Chance = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A probability as a model gives it."""

Inputs = Annotated[dict[str, bool | FiniteFloat | Text | None], Field(max_length=1_000)]
Contributions = Annotated[dict[str, FiniteFloat], Field(max_length=1_000)]
Position = Annotated[Whole, Field(ge=0)]


def score_id(learner: str, subject_id: UUID) -> UUID:
    """The stream of what a learner says of a subject."""
    return uuid5(SCORES, f"{learner}:{subject_id}")


class ScoreRecorded(Event, type="score.recorded.v1"):
    """A learner said how likely something is, and from what.

    `contributions` are log-odds by input, `intercept` included; they add up to the log-odds of
    `value`. `cause_position` is the position of the event that was scored.
    """

    learner: Line
    subject_type: Line
    subject_id: UUID
    value: Chance
    model_version: Line
    inputs: Inputs
    contributions: Contributions
    cause_position: Position


class OutcomeLearned(Event, type="score.outcome_learned.v1"):
    """What had been foreseen did or did not happen, and the learner learned from it.

    `predicted` is what the learner said before it saw the outcome: test, then train.
    """

    learner: Line
    subject_type: Line
    subject_id: UUID
    outcome: bool
    predicted: Chance
    cause_position: Position


ScoreEvent = ScoreRecorded | OutcomeLearned


@dataclass(frozen=True, slots=True)
class Score(State[ScoreEvent]):
    """What a learner said last, and what came of it."""

    value: float | None = None
    model_version: str = ""
    scored: int = 0
    outcome: bool | None = None
    cause_position: int = 0

    def evolve(self, event: ScoreEvent, /) -> Score:
        match event:
            case ScoreRecorded():
                return replace(
                    self,
                    value=event.value,
                    model_version=event.model_version,
                    scored=self.scored + 1,
                    cause_position=event.cause_position,
                )
            case OutcomeLearned():
                return replace(self, outcome=event.outcome, cause_position=event.cause_position)
            case _:
                assert_never(event)
