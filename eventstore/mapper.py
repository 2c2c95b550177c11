"""Between events as values and rows as the log stores them."""

from __future__ import annotations

import json
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast, get_args, get_origin
from uuid import UUID

import orjson
from eventsourcing.persistence import JSONTranscoder, Mapper
from typing_extensions import TypeAliasType

from domain import EVENTS
from domain.base import HIDDEN, Event
from eventstore.envelope import NewEvent, RecordedEvent, Row, StoredEnvelope
from eventstore.errors import EnvelopeMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing.domain import DomainEventProtocol
    from eventsourcing.persistence import StoredEvent

    from eventstore.keys import Keyring

Lift = tuple["Callable[[dict[str, Any]], dict[str, Any]]", type[Event]]

CURRENT: dict[str, type[Event]] = dict(EVENTS)
LIFTED: dict[str, Lift] = {
    stored: (lift, event) for event in EVENTS.values() for stored, lift in event.lifts.items()
}
PERSONAL: dict[type[Event], tuple[str, ...]] = {
    event: event.personal_fields() for event in EVENTS.values()
}


def _is_bare(kind: Any) -> bool:
    """Whether values of a type are what JSON has, so that there is one way to write them."""
    if isinstance(kind, TypeAliasType):
        return _is_bare(kind.__value__)
    origin, of = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _is_bare(of[0])
    if origin is Literal:
        return all(type(value) in BARE_TYPES for value in of)
    if origin in {Union, UnionType, dict}:
        return all(map(_is_bare, of))
    return kind in BARE_TYPES


BARE_TYPES = {bool, float, int, NoneType, str, UUID}
BARE: set[type[Event]] = {
    event
    for event in EVENTS.values()
    if all(_is_bare(field.annotation) for field in event.model_fields.values())
}
"""Events that are written as `orjson` has it, in a sixth of the time and to the same byte."""


class UnknownEventType(Exception):
    """The log holds an event of a type that is not in the allow-list."""


class EventMapper(Mapper[UUID]):
    """Writes events as plain UTF-8 JSON under their own names, personal fields sealed.

    Topics are looked up in the allow-list of `domain.EVENTS`, never imported. Without a keyring
    personal fields are read as `HIDDEN`, and events that have any cannot be written.
    """

    def __init__(self, keys: Keyring | None) -> None:
        super().__init__(transcoder=JSONTranscoder())
        self.keys = keys

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEnvelope:
        """`row` as the library has rows."""
        return StoredEnvelope(*self.row(cast("NewEvent", domain_event)))

    def row(self, new: NewEvent) -> Row:
        """The row of an event; the keys of its subject have to be loaded."""
        return Row(
            new.stream_id,
            new.version,
            new.event.type,
            self._encode(new),
            new.event_id,
            new.occurred_at,
            new.actor,
            new.correlation_id,
            new.causation_id,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> RecordedEvent:
        """The event of a row; personal fields whose keys are not loaded are `HIDDEN`."""
        row = stored_event
        if not isinstance(row, StoredEnvelope):
            raise EnvelopeMissing(f"event {row.topic} of {row.originator_id} has no envelope")
        if row.position is None or row.recorded_at is None or row.occurred_at is None:
            raise EnvelopeMissing(f"event {row.event_id} is not recorded yet")
        return RecordedEvent(
            event_id=row.event_id,
            stream_id=row.originator_id,  # type: ignore[arg-type]
            version=row.originator_version,
            occurred_at=row.occurred_at,
            actor=row.actor,
            correlation_id=row.correlation_id,
            causation_id=row.causation_id,
            event=self._decode(row),
            position=row.position,
            recorded_at=row.recorded_at,
        )

    def _encode(self, new: NewEvent) -> bytes:
        personal = PERSONAL[type(new.event)]
        if not personal:
            if type(new.event) in BARE:
                return orjson.dumps(new.event.__dict__)
            return new.event.__pydantic_serializer__.to_json(new.event)
        if self.keys is None:
            raise EnvelopeMissing(f"{new.event.type} has personal fields, and no keys are at hand")
        fields = (
            new.event.__dict__
            if type(new.event) in BARE
            else new.event.__pydantic_serializer__.to_python(new.event, mode="json")
        )
        subject = subject_of(new.event, new.stream_id)
        plain = {name: orjson.dumps(fields[name]) for name in personal if fields[name] is not None}
        return orjson.dumps(fields | self.keys.seal(subject, new.event_id, plain))

    def _decode(self, row: StoredEnvelope) -> Event:
        fields: dict[str, Any] = orjson.loads(row.state)
        found = CURRENT.get(row.topic)
        if found is None:
            if row.topic not in LIFTED:
                raise UnknownEventType(f"{row.topic} at position {row.position}")
            lift, found = LIFTED[row.topic]
            fields = lift(fields)
        for name in PERSONAL[found]:
            if fields.get(name) is not None:
                fields[name] = self._open(row.event_id, name, fields[name])
        return found.model_validate(fields, strict=False)

    def _open(self, event_id: UUID, field: str, text: str) -> object:
        if self.keys is None:
            return HIDDEN
        opened = self.keys.decrypt(UUID(text[5:41]), event_id, field, text)
        return HIDDEN if opened is None else json.loads(opened)


def subject_of(event: Event, stream_id: UUID) -> UUID:
    """The person the personal fields of an event are about."""
    return getattr(event, event.subject) if event.subject else stream_id


def subject_in(state: bytes, event: type[Event], stream_id: UUID) -> UUID | None:
    """The subject of a stored row, read off its JSON; None when it has no personal fields."""
    if not PERSONAL[event]:
        return None
    return UUID(orjson.loads(state)[event.subject]) if event.subject else stream_id
