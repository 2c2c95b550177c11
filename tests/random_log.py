"""Random logs, made without a database: any events in any order a stream may bear.

Values follow from the annotations of the events, so a new aggregate is covered when it is listed
in `domain.AGGREGATES`. Everything follows from the seed.
"""

from __future__ import annotations

import base64
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import orjson
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from pydantic import AwareDatetime, BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from commands.base import Reference
from domain import AGGREGATES, events_of
from domain.base import Event, State
from domain.clock import Clock
from domain.custom_fields import CustomFields
from domain.score import Score
from eventstore.envelope import RecordedEvent
from eventstore.keys import NONCE_BYTES
from eventstore.mapper import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
NONCE = bytes(NONCE_BYTES)
SCHEMA = pa.schema(
    {
        "position": pa.int64(),
        "event_id": pa.binary(),
        "stream_id": pa.binary(),
        "version": pa.int64(),
        "type": pa.string(),
        "recorded_at": pa.timestamp("us", "UTC"),
        "occurred_at": pa.timestamp("us", "UTC"),
        "actor": pa.binary(),
        "correlation_id": pa.binary(),
        "causation_id": pa.binary(),
        "data": pa.binary(),
    }
)
RETRACTED_SELDOM = 0.9
AGAIN = (Clock, CustomFields, Score)
"""Aggregates whose first event is not one that happens once."""

WORDS = [
    "Ann",
    "Bo O'Neil",
    "Müller & Söhne",
    'say "hi"',
    "雪",
    "a\\b",
    "x,y",
    " pad",
    "{}",
    "null",
]
PATTERNS = {
    r"^[A-Z]{2}$": ["DE", "GB", "IN"],
    r"^[A-Z]{3}$": ["EUR", "USD"],
    r"^\+?[0-9 ()./-]{3,30}$": ["+49 30 1234", "555-0100"],
    r"^P([1-9][0-9]{0,4}D|[1-9][0-9]{0,3}M|[1-9][0-9]?Y)$": ["P30D", "P6M", "P10Y"],
    r"^[0-9a-f]{64}$": ["0a" * 32, "f9" * 32],
}


def random_log(
    seed: int, events: int, *, of: Sequence[type[State[Any]]] = AGGREGATES, streams: int = 10
) -> list[RecordedEvent]:
    """A log of `events` events in at most `streams` streams, backdated now and then."""
    chance = dice(seed)
    kinds = [(_id(chance), chance.choice(of)) for _ in range(streams)]
    versions: dict[UUID, int] = {}
    recorded, position = EPOCH, 0
    log: list[RecordedEvent] = []
    for _ in range(events):
        stream_id, aggregate = chance.choice(kinds)
        position += chance.choice([1, 1, 1, 2, 5])
        recorded += timedelta(seconds=chance.choice([0, 1, 3600]), microseconds=chance.randrange(9))
        version = versions[stream_id] = versions.get(stream_id, 0) + 1
        types = events_of(aggregate)
        later = types if aggregate in AGAIN else types[1:]
        if chance.random() < RETRACTED_SELDOM:
            later = tuple(event for event in later if ".retracted." not in event.type)
        log.append(
            RecordedEvent(
                event_id=_id(chance),
                stream_id=stream_id,
                version=version,
                occurred_at=recorded - timedelta(hours=chance.choice([0, 0, 0, 1, 48])),
                actor=UUID(int=chance.randrange(3)),
                correlation_id=_id(chance),
                causation_id=chance.choice([None, _id(chance)]),
                event=random_event(chance, types[0] if version == 1 else chance.choice(later)),
                position=position,
                recorded_at=recorded,
            )
        )
    return log


def dice(seed: int) -> random.Random:
    """Chance that is the same every time."""
    return random.Random(seed)  # noqa: S311 - nothing here is secret


def random_event(chance: random.Random, event: type[Event]) -> Event:
    """An event of a class, with any values its fields may have."""
    return event(**{name: make(chance) for name, make in makers(event).items()})


def arrow(log: Iterable[RecordedEvent]) -> pa.Table:
    """The log as `Log.read_arrow` gives it."""
    return pa.Table.from_pylist([_row(recorded) for recorded in log], SCHEMA)


def _row(recorded: RecordedEvent) -> dict[str, Any]:
    return {
        "position": recorded.position,
        "event_id": recorded.event_id.bytes,
        "stream_id": recorded.stream_id.bytes,
        "version": recorded.version,
        "type": recorded.event.type,
        "recorded_at": recorded.recorded_at,
        "occurred_at": recorded.occurred_at,
        "actor": recorded.actor.bytes,
        "correlation_id": recorded.correlation_id.bytes,
        "causation_id": recorded.causation_id and recorded.causation_id.bytes,
        "data": _stored(recorded),
    }


def _stored(recorded: RecordedEvent) -> bytes:
    fields = recorded.event.model_dump(mode="json")
    subject = subject_of(recorded.event, recorded.stream_id)
    for name in recorded.event.personal_fields():
        if fields[name] is not None:
            fields[name] = seal(subject, recorded.event_id, name, orjson.dumps(fields[name]))
    return orjson.dumps(fields)


def seal(subject: UUID, event_id: UUID, field: str, plain: bytes) -> str:
    """A stand-in for encryption that keeps its shape: bound to subject, event and field."""
    bound = f"{event_id}|{field}|{subject}".encode()
    return f"enc1:{subject}:{base64.b64encode(NONCE + bound + plain).decode()}"


def unseal(*gone: UUID) -> Callable[[Sequence[UUID]], Any]:
    """Opens what `seal` sealed, but for subjects whose keys are gone."""

    def opened(nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        if nonce != NONCE or not sealed.startswith(bound):
            raise InvalidTag
        return sealed[len(bound) :]

    def unsealed(subjects: Sequence[UUID]) -> Any:
        assert len(set(subjects)) == len(subjects)
        return [None if subject in gone else opened for subject in subjects]

    return unsealed


def _id(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)


@cache
def makers(model: type[BaseModel]) -> dict[str, Callable[[random.Random], Any]]:
    """What makes values of each field of a model."""
    return {
        name: _maker(field.annotation, tuple(field.metadata))
        for name, field in model.model_fields.items()
    }


def _maker(annotation: Any, marks: tuple[Any, ...]) -> Callable[[random.Random], Any]:
    """What makes values of an annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _maker(arguments[0], (*marks, *arguments[1:]))
    if origin in (Union, UnionType):
        options = [_maker(argument, ()) for argument in arguments]
        return lambda chance: chance.choice(options)(chance)
    if origin is Literal:
        return lambda chance: chance.choice(arguments)
    if origin in (dict, tuple, list):
        return _several([_maker(each, ()) for each in arguments if each is not Ellipsis])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return lambda chance: {n: make(chance) for n, make in makers(annotation).items()}
    return _SCALARS[UUID if origin is Reference else annotation](_limits(marks))


def _several(parts: list[Callable[[random.Random], Any]]) -> Callable[[random.Random], Any]:
    """What makes lists, or of pairs dictionaries."""

    def make(chance: random.Random) -> Any:
        rows = [[part(chance) for part in parts] for _ in range(chance.randrange(4))]
        return [row[0] for row in rows] if len(parts) == 1 else dict(rows)

    return make


def _limits(marks: tuple[Any, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mark in marks:
        for limit in mark.metadata if isinstance(mark, FieldInfo) else (mark,):
            for name in ("ge", "le", "max_length", "decimal_places", "pattern"):
                if getattr(limit, name, None) is not None:
                    found[name] = getattr(limit, name)
            if not isinstance(limit, StringConstraints) and hasattr(limit, "func"):
                found[limit.func.__name__] = True
    return found


def _text(limits: dict[str, Any]) -> Callable[[random.Random], str]:
    if "_email" in limits:
        return lambda chance: f"p{chance.randrange(99)}@example.com"
    if "pattern" in limits:
        known = PATTERNS.get(limits["pattern"], ["alpha", "beta", "gamma_1"])
        return lambda chance: chance.choice(known)
    return lambda chance: f"{chance.choice(WORDS)} {chance.randrange(50)}"


def _decimal(limits: dict[str, Any]) -> Callable[[random.Random], Decimal]:
    step = Decimal(1).scaleb(-limits["decimal_places"])
    low, high = limits.get("ge", -(10**15)), limits.get("le", 10**15)
    return lambda chance: chance.randrange(int(low / step), int(high / step) + 1) * step


def _whole(limits: dict[str, Any]) -> Callable[[random.Random], int]:
    low, high = limits.get("ge", -(2**63)), limits.get("le", 2**63 - 1)
    return lambda chance: chance.choice([low, high, min(high, max(low, chance.randrange(100)))])


def _moment(chance: random.Random) -> datetime:
    return EPOCH + timedelta(microseconds=chance.randrange(10**15))


def _day(chance: random.Random) -> date:
    return date(2020, 1, 1) + timedelta(days=chance.randrange(3000))


def _float(limits: dict[str, Any]) -> Callable[[random.Random], float]:
    low, high = limits.get("ge", -1e9), limits.get("le", 1e9)
    return lambda chance: chance.choice([float(low), float(high), chance.uniform(low, high)])


_SCALARS: dict[Any, Callable[[dict[str, Any]], Callable[[random.Random], Any]]] = {
    str: _text,
    int: _whole,
    Decimal: _decimal,
    float: _float,
    bool: lambda _: lambda chance: chance.random() < 0.5,
    UUID: lambda _: _id,
    date: lambda _: _day,
    datetime: lambda _: _moment,
    AwareDatetime: lambda _: _moment,
    NoneType: lambda _: lambda _chance: None,
}
