"""What can be asked of activities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from commands.base import Command, World
from commands.user import may_own
from domain.activity import (
    Activity,
    ActivityAboutNothing,
    ActivityAlreadyRecorded,
    ActivityAssigned,
    ActivityCancelled,
    ActivityCompleted,
    ActivityEvent,
    ActivityFinished,
    ActivityKind,
    ActivityLogged,
    ActivityPlanned,
    ActivityRescheduled,
    ActivityRetracted,
    ActivityStarted,
    ActivityUnknown,
    CancelReason,
    Direction,
    Minutes,
    Outcome,
    Priority,
)
from domain.base import Refusal, State
from domain.contact import Contact, ContactUnknown
from domain.customer import Customer, CustomerUnknown
from domain.deal import Deal, DealUnknown
from domain.lead import Lead, LeadUnknown
from domain.ticket import Ticket, TicketUnknown
from domain.values import Line, Moment, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT: dict[str, tuple[type[State[Any]], type[Refusal]]] = {
    "customer_id": (Customer, CustomerUnknown),
    "contact_id": (Contact, ContactUnknown),
    "lead_id": (Lead, LeadUnknown),
    "deal_id": (Deal, DealUnknown),
    "ticket_id": (Ticket, TicketUnknown),
}
"""What an activity can be about, by the field that names it."""


class PlanActivity(Command[Activity], creates=True):
    """Plan something to do; without an owner it is for the one who asks."""

    kind: ActivityKind
    title: Line
    customer_id: UUID | None = None
    contact_id: UUID | None = None
    lead_id: UUID | None = None
    deal_id: UUID | None = None
    ticket_id: UUID | None = None
    owner: UUID | None = None
    due: Moment | None = None
    priority: Priority = "normal"

    example = {
        "kind": "call",
        "title": "Ask whether the offer arrived",
        "deal_id": "00000000-0000-4000-8000-000000000003",
        "due": "2026-02-02T09:00:00Z",
    }

    def decide_in(self, world: World, activity: Activity, /) -> Iterator[ActivityEvent]:
        owner = self.owner or world.actor
        planned = ActivityPlanned(**self.fields() | {"owner": owner})
        if activity.recorded != planned:
            may_record(world, activity, planned)
            yield planned


class LogActivity(Command[Activity], creates=True):
    """Record something that happened; without an owner the one who asks did it."""

    kind: ActivityKind
    title: Line | None = None
    customer_id: UUID | None = None
    contact_id: UUID | None = None
    lead_id: UUID | None = None
    deal_id: UUID | None = None
    ticket_id: UUID | None = None
    owner: UUID | None = None
    direction: Direction
    outcome: Outcome = "done"
    duration_minutes: Minutes | None = None
    note: Text = ""

    example = {
        "kind": "call",
        "customer_id": "00000000-0000-4000-8000-000000000004",
        "direction": "inbound",
        "outcome": "reached",
        "duration_minutes": 12,
        "note": "Wants to renew for two years.",
    }

    def decide_in(self, world: World, activity: Activity, /) -> Iterator[ActivityEvent]:
        owner = self.owner or world.actor
        logged = ActivityLogged(**self.fields() | {"owner": owner})
        if activity.recorded != logged:
            may_record(world, activity, logged)
            yield logged


class AssignActivity(Command[Activity]):
    """Give an activity to another user."""

    owner: UUID

    example = {"owner": "00000000-0000-4000-8000-000000000001"}

    def decide_in(self, world: World, activity: Activity, /) -> Iterator[ActivityEvent]:
        if activity.owner is None:
            raise ActivityUnknown
        if activity.owner == self.owner:
            return
        unfinished(activity)
        may_own(world, self.owner)
        yield ActivityAssigned(owner=self.owner, previous_owner=activity.owner)


class RescheduleActivity(Command[Activity]):
    """Move an activity to another time."""

    due: Moment

    example = {"due": "2026-02-03T09:00:00Z"}

    def decide(self, activity: Activity, /) -> Iterator[ActivityEvent]:
        unfinished(activity)
        if activity.due != self.due:
            yield ActivityRescheduled(due=self.due, previous_due=activity.due)


class StartActivity(Command[Activity]):
    """Begin with an activity."""

    example = {}

    def decide(self, activity: Activity, /) -> Iterator[ActivityEvent]:
        unfinished(activity)
        if activity.status != "started":
            yield ActivityStarted()


class CompleteActivity(Command[Activity]):
    """Say what came of an activity."""

    outcome: Outcome = "done"
    duration_minutes: Minutes | None = None
    note: Text = ""

    example = {"outcome": "reached", "duration_minutes": 15, "note": "Sends the order today."}

    def decide(self, activity: Activity, /) -> Iterator[ActivityEvent]:
        completed = ActivityCompleted(**self.fields())
        if activity.completion != completed:
            unfinished(activity)
            yield completed


class CancelActivity(Command[Activity]):
    """Give an activity up, for a reason."""

    reason: CancelReason
    note: Text = ""

    example = {"reason": "not_needed", "note": "The order came by itself."}

    def decide(self, activity: Activity, /) -> Iterator[ActivityEvent]:
        cancelled = ActivityCancelled(**self.fields())
        if activity.cancellation != cancelled:
            unfinished(activity)
            yield cancelled


class RetractActivity(Command[Activity]):
    """Take back a activity that should never have been recorded; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, activity: Activity, /) -> Iterator[ActivityEvent]:
        if activity.status == "unknown":
            raise ActivityUnknown
        yield ActivityRetracted(reason=self.reason)


def unfinished(activity: Activity) -> None:
    """Refuse what is asked of an activity that was never recorded, or is over."""
    if activity.status == "unknown":
        raise ActivityUnknown
    if activity.status in ("completed", "cancelled"):
        raise ActivityFinished(status=activity.status)


def may_record(
    world: World, activity: Activity, recorded: ActivityPlanned | ActivityLogged
) -> None:
    """Refuse to record an activity twice, about nothing, or for somebody who left."""
    if activity.recorded is not None:
        raise ActivityAlreadyRecorded
    about = {name: getattr(recorded, name) for name in ABOUT}
    if not any(about.values()):
        raise ActivityAboutNothing
    for name, stream_id in about.items():
        of, unknown = ABOUT[name]
        if stream_id is not None and world.load(of, stream_id) == of():
            raise unknown
    may_own(world, recorded.owner)
