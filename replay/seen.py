"""Seen: which score a salesperson saw of a record, from which version of the model, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domain.score import ScoreRecorded, score_id
from replay.base import NO_BOUND, Bounds, ReplayError, read_stream
from replay.history import told
from replay.people import People

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log
    from replay.history import Happening


@dataclass(frozen=True, slots=True)
class SeenScore:
    """The last score there was within bounds, with everything it was said from."""

    learner: str
    value: float
    model_version: str
    inputs: Mapping[str, Any]
    contributions: Mapping[str, float]
    """Log-odds, the heaviest first; they add up to those of `value`."""
    position: int
    occurred_at: datetime
    recorded_at: datetime
    """From then on it could be seen."""
    because_of: Happening | None
    """The event that was scored."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The scores of one record within bounds, one for each learner that spoke of it."""

    stream_id: UUID
    within: Bounds
    scores: tuple[SeenScore, ...]


class NeverScored(ReplayError):
    """No learner has spoken of the record by then."""


def seen(log: Log, stream_id: UUID, within: Bounds = NO_BOUND) -> Seen:
    """Which scores of a record there were within bounds."""
    from learning import LEARNERS  # noqa: PLC0415 - a second of loading

    found = [_last(log, score_id(learner.name, stream_id), within) for learner in LEARNERS]
    scores = tuple(_told(log, *pair) for pair in found if pair is not None)
    if not scores:
        raise NeverScored(f"no learner had spoken of {stream_id} within these bounds")
    return Seen(stream_id, within, scores)


def _last(log: Log, stream: UUID, within: Bounds) -> tuple[RecordedEvent, ScoreRecorded] | None:
    last, effective_at = None, None
    for recorded in read_stream(log, stream):
        effective_at = max(effective_at or recorded.occurred_at, recorded.occurred_at)
        if not within.show(effective_at, recorded.position):
            break
        if isinstance(recorded.event, ScoreRecorded):
            last = recorded, recorded.event
    return last


def _told(log: Log, recorded: RecordedEvent, score: ScoreRecorded) -> SeenScore:
    cause = next(iter(log.read(score.cause_position - 1, limit=1)), None)
    heaviest = sorted(score.contributions.items(), key=lambda one: (-abs(one[1]), one[0]))
    return SeenScore(
        score.learner,
        score.value,
        score.model_version,
        score.inputs,
        dict(heaviest),
        recorded.position,
        recorded.occurred_at,
        recorded.recorded_at,
        told(cause, cause.occurred_at, People(log)) if cause else None,
    )
