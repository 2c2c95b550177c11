"""Scores proved: what was said is what learning the log anew would say."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from domain.score import OutcomeLearned, ScoreEvent, ScoreRecorded, score_id
from learning import LEARNERS
from learning.base import Learner, Training, score_event_id
from learning.follower import Said, bookmark_of, listen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log
    from eventstore.workspace import Workspace

SCORE_TYPES = (ScoreRecorded.type, OutcomeLearned.type)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the log and what is learned from it part: the first place, and how."""

    learner: str
    subject_id: UUID
    cause_position: int
    what: str

    def __str__(self) -> str:
        return (
            f"{self.learner} of {self.subject_id}, because of position {self.cause_position}: "
            f"{self.what}"
        )


def verify_models(
    workspace: Workspace, learners: Sequence[type[Learner]] = LEARNERS
) -> Difference | None:
    """Learn from the beginning and compare with every score event; the first difference, or None.

    What an earlier version of a learner said cannot be said again by this one: it is passed over.
    """
    for learner in learners:
        found = _verify(workspace.log, learner())
        if found is not None:
            return found
    return None


def _verify(log: Log, learner: Learner) -> Difference | None:
    until = bookmark_of(log, learner)
    since = _said_by_earlier_versions_until(log, learner)
    events = log.read(until=until, types=learner.types()) if until else iter(())
    expected = (said for said in listen(Training(learner), events) if said.cause.position > since)
    # A learner at work goes on speaking meanwhile: of that, nothing can be said yet.
    recorded = (pair for pair in _recorded(log, learner) if since < pair[1].cause_position <= until)
    for said, pair in zip_longest(expected, recorded):
        difference = _difference(said, pair[0] if pair else None, learner)
        if difference:
            event = said.event if said else pair[1]
            return Difference(learner.name, event.subject_id, event.cause_position, difference)
    return None


def _difference(said: Said | None, found: RecordedEvent | None, learner: Learner) -> str:
    """How what was recorded differs from what would be said; empty if it does not."""
    if said is None:
        return "recorded, but nothing would be said"
    if found is None:
        return f"{said.event.type} is missing"
    if found.event != said.event:
        fields = (
            f"{name} is {getattr(found.event, name, None)!r}, learned anew {value!r}"
            for name, value in said.event
            if getattr(found.event, name, None) != value
        )
        return next(fields, f"recorded as {found.event.type}, learned anew {said.event.type}")
    told = (found.event_id, found.stream_id, found.occurred_at)
    due = (
        score_event_id(said.cause, learner, said.number),
        score_id(learner.name, said.event.subject_id),
        said.cause.occurred_at,
    )
    return "" if told == due else f"its envelope says {told}, and should say {due}"


def _recorded(log: Log, learner: Learner) -> Iterator[tuple[RecordedEvent, ScoreEvent]]:
    for recorded in log.read(types=SCORE_TYPES):
        event = recorded.event
        if isinstance(event, ScoreRecorded | OutcomeLearned) and event.learner == learner.name:
            yield recorded, event


def _said_by_earlier_versions_until(log: Log, learner: Learner) -> int:
    """Position of the last event that an earlier version of the learner spoke about."""
    if learner.version == 1:
        return 0
    return max(
        (
            said.cause_position
            for _, said in _recorded(log, learner)
            if isinstance(said, ScoreRecorded)
            and not said.model_version.startswith(f"{learner.version}.")
        ),
        default=0,
    )
