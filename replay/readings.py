"""Readings: who saw personal values of whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventstore.reads import reads
from replay.people import People

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from eventstore.log import Log


@dataclass(frozen=True, slots=True)
class Reading:
    """One request that showed personal values; it says which, and not what they were."""

    read_at: datetime
    actor: UUID
    actor_name: str | None
    request_id: UUID
    door: str
    subjects: tuple[UUID, ...]
    """Of those asked about; none: it was a question over whole tables, so perhaps of these too."""
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Readings:
    """The last reads there were, the newest first."""

    about: tuple[UUID, ...]
    """The record, and the records that name it, such as contacts and tickets of a customer."""
    user: UUID | None
    readings: tuple[Reading, ...]


def readings(
    log: Log,
    record: UUID | None = None,
    user: UUID | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> Readings:
    """Who read personal values of a record, of whatever user; or what a user read of anybody."""
    about = _with_those_that_name(log, record) if record else ()
    found = reads(
        log,
        subjects=about or None,
        actor=user,
        since=since,
        until=until,
        limit=limit,
    )
    people = People(log)
    return Readings(
        about,
        user,
        tuple(
            Reading(
                one.read_at,
                one.actor,
                people.name(one.actor),
                one.request_id,
                one.door,
                tuple(id for id in one.subjects if not about or id in about),
                one.fields,
            )
            for one in found
        ),
    )


def _with_those_that_name(log: Log, record: UUID) -> tuple[UUID, ...]:
    naming = log.names.look(frozenset({record}))
    return tuple(dict.fromkeys([record, *(one.stream_id for one in naming)]))
