"""Why: which event gave a field its value, who was behind it, and because of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL

from replay.base import NO_BOUND, Bounds, ReplayError, StreamUnknown, steps
from replay.history import Happening, aggregate, told
from replay.people import People

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log
    from replay.base import Step

CAUSES_MAX = 50
TOGETHER_MAX = 20
ABSENT = object()


@dataclass(frozen=True, slots=True)
class Why:
    """Why a field has the value it has."""

    stream_id: UUID
    aggregate: str
    field: str
    value: Any
    within: Bounds
    setter: Happening
    """The event that made the value what it is."""
    previous: Any
    previous_setter: Happening | None
    together: tuple[Happening, ...]
    """What else was recorded at once, in answer to the same request."""
    causes: tuple[Happening, ...]
    """The event because of which `setter` came about, then the cause of that one, and so on."""
    request: Request
    """What the chain begins with."""


@dataclass(frozen=True, slots=True)
class Request:
    """Where a chain of causes begins: somebody asked for something, and this came of it at once."""

    correlation_id: UUID
    """Of the request; what belongs to it bears the same."""
    actor: UUID
    actor_name: str | None
    recorded_at: datetime
    event_id: UUID
    type: str


class FieldUnknown(ReplayError):
    """The record has no such field, or had none by then."""


def why(log: Log, stream_id: UUID, field: str, within: Bounds = NO_BOUND) -> Why:
    """Which event gave `field` of a record the value it has within bounds."""
    seen = steps(log, stream_id, within)
    if not seen:
        raise StreamUnknown(f"there is no record {stream_id} within these bounds")
    if field not in seen[-1].record and f"custom.{field}" in seen[-1].record:
        field = f"custom.{field}"
    setters = _setters(seen, field)
    if not setters:
        known = ", ".join(sorted(seen[-1].record))
        raise FieldUnknown(
            f"this record has no field {field!r} within these bounds; it has {known}"
        )
    people = People(log)
    causes = _causes(log, setters[-1].recorded)
    setter, before = setters[-1], setters[-2] if len(setters) > 1 else None
    return Why(
        stream_id=stream_id,
        aggregate=aggregate(setter.recorded),
        field=field,
        value=setter.record[field],
        within=within,
        setter=told(setter.recorded, setter.effective_at, people),
        previous=before.record[field] if before else None,
        previous_setter=told(before.recorded, before.effective_at, people) if before else None,
        together=tuple(
            told(event, event.occurred_at, people) for event in _together(log, setter.recorded)
        ),
        causes=tuple(told(event, event.occurred_at, people) for event in causes),
        request=_request([setter.recorded, *causes][-1], people),
    )


def _request(first: RecordedEvent, people: People) -> Request:
    return Request(
        first.correlation_id,
        first.actor,
        people.name(first.actor),
        first.recorded_at,
        first.event_id,
        first.event.type,
    )


def _setters(seen: Sequence[Step], field: str) -> list[Step]:
    """The steps at which a field took another value."""
    found: list[Step] = []
    value: Any = ABSENT
    for step in seen:
        now = step.record.get(field, ABSENT)
        if now is not value and now != value and now is not ABSENT:
            found.append(step)
        value = now
    return found


def _causes(log: Log, recorded: RecordedEvent) -> list[RecordedEvent]:
    """The chain of causing events, nearest first."""
    chain: list[RecordedEvent] = []
    while recorded.causation_id is not None and len(chain) < CAUSES_MAX:
        with log.cursor() as cursor:
            rows = log.envelopes.select_envelopes(
                cursor, SQL("event_id = %s"), (recorded.causation_id,)
            )
            found = log.open_rows(cursor, rows)
        if not found:
            break
        recorded = found[0]
        chain.append(recorded)
    return chain


def _together(log: Log, recorded: RecordedEvent) -> list[RecordedEvent]:
    """Other events of the same request: recorded at the same instant, in one conversation."""
    where = SQL(
        "recorded_at = %s AND correlation_id = %s AND event_id <> %s "
        "ORDER BY notification_id LIMIT %s"
    )
    values = (recorded.recorded_at, recorded.correlation_id, recorded.event_id, TOGETHER_MAX)
    with log.cursor() as cursor:
        return log.open_rows(cursor, log.envelopes.select_envelopes(cursor, where, values))
