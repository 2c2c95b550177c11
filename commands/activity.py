"""What can be asked of activities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.base import Command, Reference, World
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
from domain.contact import Contact
from domain.customer import Customer
from domain.deal import Deal
from domain.lead import Lead
from domain.ticket import Ticket
from domain.user import User
from domain.values import Line, Moment, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT = ("customer_id", "contact_id", "lead_id", "deal_id", "ticket_id")
"""Fields that name what an activity is about."""


class PlanActivity(Command[Activity], creates=True):
    """Plan something to do; without an owner it is for the one who asks."""

    kind: ActivityKind
    title: Line
    customer_id: Reference[Customer] | None = None
    contact_id: Reference[Contact] | None = None
    lead_id: Reference[Lead] | None = None
    deal_id: Reference[Deal] | None = None
    ticket_id: Reference[Ticket] | None = None
    owner: Reference[User] | None = None
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
    customer_id: Reference[Customer] | None = None
    contact_id: Reference[Contact] | None = None
    lead_id: Reference[Lead] | None = None
    deal_id: Reference[Deal] | None = None
    ticket_id: Reference[Ticket] | None = None
    owner: Reference[User] | None = None
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

    owner: Reference[User]

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
    if not any(getattr(recorded, name) for name in ABOUT):
        raise ActivityAboutNothing
    may_own(world, recorded.owner)
