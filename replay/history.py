"""History: what happened to one record, and what was true of it then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replay.base import NO_BOUND, Bounds, StreamUnknown, read_stream, replayed
from replay.people import People

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log
    from replay.base import Step


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not what it was; None where it was not there."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Happening:
    """One event as people read it: what happened, when on both axes, and by whom."""

    position: int
    version: int
    event_id: UUID
    stream_id: UUID
    type: str
    occurred_at: datetime
    effective_at: datetime
    recorded_at: datetime
    actor: UUID
    actor_name: str | None
    correlation_id: UUID
    causation_id: UUID | None
    fields: Mapping[str, Any]
    """What the event says."""
    changes: tuple[Change, ...] = ()
    """What became different about the record, where that was looked at."""


@dataclass(frozen=True, slots=True)
class History:
    """The events of a record within bounds, and the record as they left it."""

    stream_id: UUID
    aggregate: str
    within: Bounds
    happenings: tuple[Happening, ...]
    record: Mapping[str, Any]
    later: int
    """How many events lie beyond the bounds."""


def history(log: Log, stream_id: UUID, within: Bounds = NO_BOUND) -> History:
    """What happened to a record within bounds."""
    events = read_stream(log, stream_id)
    if not events:
        raise StreamUnknown(f"there is no record {stream_id}")
    seen = list(replayed(events, log, within))
    return History(
        stream_id,
        aggregate(events[0]),
        within,
        happenings(seen, People(log)),
        seen[-1].record if seen else {},
        len(events) - len(seen),
    )


def aggregate(recorded: RecordedEvent) -> str:
    """The name of the aggregate an event belongs to, such as `lead`."""
    return recorded.event.type.split(".")[0]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """What is different about a record, in the order of its fields."""
    fields = [*new, *(field for field in old if field not in new)]
    return tuple(
        Change(field, old.get(field), new.get(field))
        for field in fields
        if old.get(field) != new.get(field)
    )


def happenings(
    seen: Sequence[Step], people: People, before: Mapping[str, Any] | None = None
) -> tuple[Happening, ...]:
    """Steps as people read them; `before` is the record as it was before the first."""
    records = [before or {}, *(step.record for step in seen)]
    return tuple(
        told(step.recorded, step.effective_at, people, changes(old, step.record))
        for step, old in zip(seen, records, strict=False)
    )


def told(
    recorded: RecordedEvent,
    effective_at: datetime,
    people: People,
    changed: tuple[Change, ...] = (),
) -> Happening:
    """An event as people read it."""
    return Happening(
        position=recorded.position,
        version=recorded.version,
        event_id=recorded.event_id,
        stream_id=recorded.stream_id,
        type=recorded.event.type,
        occurred_at=recorded.occurred_at,
        effective_at=effective_at,
        recorded_at=recorded.recorded_at,
        actor=recorded.actor,
        actor_name=people.name(recorded.actor),
        correlation_id=recorded.correlation_id,
        causation_id=recorded.causation_id,
        fields=dict(recorded.event),
        changes=changed,
    )
