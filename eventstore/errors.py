"""What can go wrong between a command and the log, as vocabulary.

EventStoreError
├── StaleVersion          If-Match named another version                         412
├── OccurredInTheFuture   a moment later than now was given                      422
├── IdempotencyKeyReused  the key was used before, with another body             422
├── Overloaded            the queue is full; nothing was done                    503
├── OutcomeUnknown        the database went away in mid-commit                   503
├── Unavailable           the database cannot be reached; nothing was done       503
├── StorageFull           its disk is full; nothing was done                     503
└── EnvelopeMissing       a writer tried to append events without an envelope    bug
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class EventStoreError(Exception):
    """Root of the errors of the event store."""


class StaleVersion(EventStoreError):
    """The stream is at another version than the one that was expected."""

    def __init__(self, expected: int, actual: int) -> None:
        self.expected, self.actual = expected, actual
        super().__init__(f"expected version {expected}, but the stream is at version {actual}")


class OccurredInTheFuture(EventStoreError):
    """`occurred_at` lies after the moment of recording; plans are fields, not events."""

    def __init__(self, occurred_at: datetime, now: datetime) -> None:
        super().__init__(f"occurred_at {occurred_at.isoformat()} is after {now.isoformat()}")


class IdempotencyKeyReused(EventStoreError):
    """The idempotency key was used before with another body."""


class Overloaded(EventStoreError):
    """Too many commands are waiting; this one was not taken. Try again in a moment."""


class OutcomeUnknown(EventStoreError):
    """The database went away in mid-commit: ask again with the same key, or look first."""


class Unavailable(EventStoreError):
    """The database cannot be reached; nothing was done. Ask again in a moment."""


class StorageFull(EventStoreError):
    """The disk of the database is full; nothing was done. Free space there, then ask again."""


class EnvelopeMissing(EventStoreError):
    """Events are appended with their envelope (event id, times, actor, correlation) or not at all.

    Another program tried to write to the log of a workspace; let it issue commands instead.
    """
