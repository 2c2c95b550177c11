"""The envelope: what the log knows of an event beside what happened."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, SafeUUID

import orjson
from eventsourcing.persistence import StoredEvent

from eventstore.chance import Chance

if TYPE_CHECKING:
    from datetime import datetime

    from domain.base import Event


BITS_V5 = 0x5 << 76 | 0b10 << 62
MASK = ~(0xF << 76 | 0b11 << 62)
BITS_V7 = 0x7 << 76 | 0b10 << 62
UNIQUE = Chance(10)
UNKNOWN = SafeUUID.unknown  # looking it up in its class takes longer than making an id
put_number, put_safety = UUID.__dict__["int"].__set__, UUID.__dict__["is_safe"].__set__


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event on its way into the log. `occurred_at` None means: when it is recorded."""

    event_id: UUID
    stream_id: UUID
    version: int
    occurred_at: datetime | None
    actor: UUID
    correlation_id: UUID
    causation_id: UUID | None
    event: Event

    @property
    def originator_id(self) -> UUID:
        """The library's name for `stream_id`."""
        return self.stream_id

    @property
    def originator_version(self) -> int:
        """The library's name for `version`."""
        return self.version


@dataclass(frozen=True, slots=True)
class RecordedEvent(NewEvent):
    """An event as the log holds it."""

    occurred_at: datetime
    position: int
    recorded_at: datetime


@dataclass(frozen=True)
class StoredEnvelope(StoredEvent):
    """The library's row (stream, version, type, JSON) with the columns of the envelope.

    `position` and `recorded_at` are None until the row is stored.
    """

    event_id: UUID
    occurred_at: datetime | None
    actor: UUID
    correlation_id: UUID
    causation_id: UUID | None
    position: int | None = None
    recorded_at: datetime | None = None


class Row(NamedTuple):
    """An event as the columns of a `StoredEnvelope`, of which a commit would make hundreds.

    It takes a quarter of the time, and the columns lie one after the other as they are sent.
    """

    stream_id: UUID
    version: int
    type: str
    state: bytes
    event_id: UUID
    occurred_at: datetime | None
    actor: UUID
    correlation_id: UUID
    causation_id: UUID | None


def derived(namespace: UUID, name: str) -> UUID:
    """`uuid.uuid5` in half the time: ids are what importing a row spends most on."""
    digest = sha1(namespace.int.to_bytes(16, "big") + name.encode(), usedforsecurity=False).digest()
    return id_of(int.from_bytes(digest[:16], "big") & MASK | BITS_V5)


def written(id: UUID) -> str:
    """`str(id)` in a third of the time."""
    return orjson.dumps(id)[1:-1].decode()


def id_of(value: int) -> UUID:
    """`UUID(int=value)` in a third of the time."""
    made = object.__new__(UUID)
    put_number(made, value)
    put_safety(made, UNKNOWN)
    return made


@lru_cache(2_000)
def event_id(command_id: UUID, number: int) -> UUID:
    """The id of the event of this number, from 0, that a command appends."""
    return derived(command_id, str(number))


def uuid7() -> UUID:
    """A time-ordered UUID, version 7 of RFC 9562: new rows land side by side in the index."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(UNIQUE.draw(), "big")
    return id_of(milliseconds << 80 | chance & MASK | BITS_V7)
