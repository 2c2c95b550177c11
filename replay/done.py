"""Done: what one user did, and what came of one cause: an import, a policy, a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL

from domain.activity import ActivityLogged, ActivityPlanned, ActivityRetracted
from domain.campaign import (
    CampaignMemberAdded,
    CampaignMemberRetracted,
    CampaignPlanned,
    CampaignRetracted,
)
from domain.contact import (
    ContactArchived,
    ContactCreated,
    ContactMerged,
    ContactRetracted,
    ContactUnmerged,
)
from domain.customer import (
    CustomerClosed,
    CustomerCreated,
    CustomerMerged,
    CustomerReactivated,
    CustomerRetracted,
    CustomerUnmerged,
)
from domain.deal import DealLost, DealOpened, DealReopened, DealRetracted, DealWon
from domain.import_run import ImportRunReverted, ImportRunStarted
from domain.lead import (
    LeadCaptured,
    LeadConverted,
    LeadDisqualified,
    LeadRecycled,
    LeadRetracted,
    LeadUnconverted,
)
from domain.pipeline import PipelineDefined, PipelineRetracted
from domain.ticket import (
    TicketMerged,
    TicketOpened,
    TicketReopened,
    TicketRetracted,
    TicketSolved,
    TicketUnmerged,
)
from domain.user import UserRegistered, UserRetracted
from replay.base import NO_BOUND, Bounds, ReplayError
from replay.history import Happening, told
from replay.people import People

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from psycopg.sql import Composable

    from domain.base import Event
    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log

LEVELS_MAX = 50

UNDO: Mapping[type[Event], tuple[type[Event] | None, str]] = {
    ActivityLogged: (ActivityRetracted, "POST /activities/{id}/retract"),
    ActivityPlanned: (ActivityRetracted, "POST /activities/{id}/retract"),
    CampaignPlanned: (CampaignRetracted, "POST /campaigns/{id}/retract"),
    CampaignMemberAdded: (
        CampaignMemberRetracted,
        "POST /campaigns/{event.campaign_id}/retract-member",
    ),
    ContactCreated: (ContactRetracted, "POST /contacts/{id}/retract"),
    CustomerCreated: (CustomerRetracted, "POST /customers/{id}/retract"),
    DealOpened: (DealRetracted, "POST /deals/{id}/retract"),
    LeadCaptured: (LeadRetracted, "POST /leads/{id}/retract"),
    PipelineDefined: (PipelineRetracted, "POST /pipelines/{id}/retract"),
    TicketOpened: (TicketRetracted, "POST /tickets/{id}/retract"),
    UserRegistered: (UserRetracted, "POST /users/{id}/retract"),
    LeadDisqualified: (LeadRecycled, "POST /leads/{id}/recycle"),
    LeadConverted: (LeadUnconverted, "POST /leads/{id}/unconvert"),
    ContactMerged: (ContactUnmerged, "POST /contacts/{id}/unmerge"),
    CustomerMerged: (CustomerUnmerged, "POST /customers/{id}/unmerge"),
    TicketMerged: (TicketUnmerged, "POST /tickets/{id}/unmerge"),
    CustomerClosed: (CustomerReactivated, "POST /customers/{id}/reactivate"),
    ContactArchived: (None, "nothing: an archived contact no longer changes"),
    DealWon: (DealReopened, "POST /deals/{id}/reopen"),
    DealLost: (DealReopened, "POST /deals/{id}/reopen"),
    TicketSolved: (TicketReopened, "POST /tickets/{id}/reopen"),
    ImportRunStarted: (ImportRunReverted, "backstory imports revert {id}"),
}
"""What undoes an event: the event that tells of it, and how that is asked for."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a user did within bounds: how often what, and the last of it."""

    user: UUID
    name: str | None
    events: int
    by_type: Mapping[str, int]
    last: tuple[Happening, ...]
    """In the order of the log; no more than were asked for."""


@dataclass(frozen=True, slots=True)
class Undo:
    """How something can be undone, or by which event it was."""

    event_id: UUID
    type: str
    stream_id: UUID
    by: str
    undone_at: int | None
    """Position of the event that undid it."""


@dataclass(frozen=True, slots=True)
class Caused:
    """Everything that one cause led to."""

    cause: UUID
    events: int
    records: int
    by_type: Mapping[str, int]
    first: tuple[Happening, ...]
    """In the order of the log; no more than were asked for."""
    undo: tuple[Undo, ...]


class CauseUnknown(ReplayError):
    """Nothing in the log has this id, or came of it."""


def done(
    log: Log, user: UUID, since: Bounds = NO_BOUND, until: Bounds = NO_BOUND, limit: int = 100
) -> Done:
    """What a user did after one moment and up to another."""
    where = SQL(
        "actor = %(actor)s AND (%(as_of)s::timestamptz IS NULL OR occurred_at <= %(as_of)s) "
        "AND (%(known_at)s::bigint IS NULL OR notification_id <= %(known_at)s) "
        "AND (%(since)s::timestamptz IS NULL OR occurred_at > %(since)s)"
    )
    values = {
        "actor": user,
        "as_of": until.as_of,
        "known_at": until.known_at,
        "since": since.as_of,
    }
    counts = _counted(log, where, values)
    last = _chosen(log, where, values, SQL("DESC"), limit)
    people = People(log)
    return Done(
        user,
        people.name(user),
        sum(counts.values()),
        counts,
        tuple(told(one, one.occurred_at, people) for one in reversed(last)),
    )


def caused(log: Log, cause: UUID, limit: int = 100) -> Caused:
    """What came of a cause: an import run, a request (its correlation id), or one event."""
    ids = _descendants(log, cause)
    where, values = SQL("event_id = ANY(%(ids)s)"), {"ids": ids, "cause": cause}
    if _one(log, SQL("correlation_id = %(cause)s"), values):
        where = SQL("(correlation_id = %(cause)s OR event_id = ANY(%(ids)s))")
    counts = _counted(log, where, values)
    if not counts:
        raise CauseUnknown(f"nothing in the log has the id {cause}, or came of it")
    with log.cursor() as cursor:
        cursor.execute(
            SQL("SELECT count(DISTINCT originator_id) AS n FROM {} WHERE {}").format(
                log.table, where
            ),
            values,
        )
        records = (cursor.fetchone() or {"n": 0})["n"]
    people = People(log)
    first = _chosen(log, where, values, SQL("ASC"), limit)
    return Caused(
        cause,
        sum(counts.values()),
        records,
        counts,
        tuple(told(one, one.occurred_at, people) for one in first),
        tuple(_undone(log, one) for one in _undoable(log, where, values, limit)),
    )


def _descendants(log: Log, cause: UUID) -> list[UUID]:
    """The event itself, what it caused, what that caused, and so on."""
    if _one(log, SQL("event_id = %(cause)s"), {"cause": cause}) is None:
        return []
    found, newest = [cause], [cause]
    for _ in range(LEVELS_MAX):
        with log.cursor() as cursor:
            where = SQL("SELECT event_id FROM {} WHERE causation_id = ANY(%s)").format(log.table)
            cursor.execute(where, (newest,))
            newest = [row["event_id"] for row in cursor.fetchall()]
        if not newest:
            break
        found += newest
    return found


def _undoable(
    log: Log, where: Composable, values: Mapping[str, Any], limit: int
) -> Sequence[RecordedEvent]:
    types = [event.type for event in UNDO]
    narrower = SQL("{} AND topic = ANY(%(types)s)").format(where)
    return _chosen(log, narrower, {**values, "types": types}, SQL("ASC"), limit)


def _undone(log: Log, recorded: RecordedEvent) -> Undo:
    event, by = UNDO[type(recorded.event)]
    later = (
        None
        if event is None
        else _one(
            log,
            SQL(
                "originator_id = %(id)s AND originator_version > %(version)s AND topic = %(type)s "
                "ORDER BY originator_version"
            ),
            {"id": recorded.stream_id, "version": recorded.version, "type": event.type},
        )
    )
    return Undo(
        recorded.event_id,
        recorded.event.type,
        recorded.stream_id,
        by.format(id=recorded.stream_id, event=recorded.event),
        later.position if later else None,
    )


def _one(log: Log, where: Composable, values: Mapping[str, Any]) -> RecordedEvent | None:
    with log.cursor() as cursor:
        rows = log.envelopes.select_envelopes(cursor, where + SQL(" LIMIT 1"), values)
        return next(iter(log.open_rows(cursor, rows)), None)


def _counted(log: Log, where: Composable, values: Mapping[str, Any]) -> dict[str, int]:
    with log.cursor() as cursor:
        cursor.execute(
            SQL(
                "SELECT topic, count(*) AS n FROM {} WHERE {} GROUP BY topic ORDER BY n DESC, topic"
            ).format(log.table, where),
            values,
        )
        return {row["topic"]: row["n"] for row in cursor.fetchall()}


def _chosen(
    log: Log, where: Composable, values: Mapping[str, Any], order: SQL, limit: int
) -> list[RecordedEvent]:
    with log.cursor() as cursor:
        rows = log.envelopes.select_envelopes(
            cursor,
            where + SQL(" ORDER BY notification_id ") + order + SQL(" LIMIT %(limit)s"),
            {**values, "limit": limit},
        )
        return log.open_rows(cursor, rows)
