"""An activity: a task, call, meeting or message, planned or as it happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, assert_never
from uuid import UUID

from pydantic import Field

from domain.base import Event, Personal, Refusal, State, replace
from domain.values import Line, Moment, Text, Whole

ActivityKind = Literal["task", "call", "meeting", "email", "message"]
Direction = Literal["inbound", "outbound", "internal"]
Priority = Literal["low", "normal", "high"]
Outcome = Literal[
    "done", "held", "no_show", "reached", "no_answer", "left_message", "replied", "declined"
]
CancelReason = Literal["not_needed", "declined", "no_response", "duplicate", "other"]
Minutes = Annotated[Whole, Field(ge=0, le=100_000)]
Status = Literal["unknown", "planned", "started", "completed", "cancelled"]


class ActivityPlanned(Event, type="activity.planned.v1"):
    """Somebody is to do something."""

    kind: ActivityKind
    title: Personal[Line | None]
    customer_id: UUID | None
    contact_id: UUID | None
    lead_id: UUID | None
    deal_id: UUID | None
    ticket_id: UUID | None
    owner: UUID
    due: Moment | None
    priority: Priority


class ActivityLogged(Event, type="activity.logged.v1"):
    """Something happened that nobody had planned here; when, says the envelope."""

    kind: ActivityKind
    title: Personal[Line | None]
    customer_id: UUID | None
    contact_id: UUID | None
    lead_id: UUID | None
    deal_id: UUID | None
    ticket_id: UUID | None
    owner: UUID
    direction: Direction
    outcome: Outcome
    duration_minutes: Minutes | None
    note: Personal[Text]


class ActivityAssigned(Event, type="activity.assigned.v1"):
    """Another user is to do it."""

    owner: UUID
    previous_owner: UUID


class ActivityRescheduled(Event, type="activity.rescheduled.v1"):
    """It is due at another time."""

    due: Moment | None
    previous_due: Moment | None


class ActivityStarted(Event, type="activity.started.v1"):
    """Its owner began."""


class ActivityCompleted(Event, type="activity.completed.v1"):
    """It was done, or at least tried."""

    outcome: Outcome
    duration_minutes: Minutes | None
    note: Personal[Text]


class ActivityCancelled(Event, type="activity.cancelled.v1"):
    """It will not be done."""

    reason: CancelReason
    note: Personal[Text]


class ActivityRetracted(Event, type="activity.retracted.v1"):
    """The record was taken back: it is as if the activity had never been recorded."""

    reason: Line


ActivityEvent = (
    ActivityPlanned
    | ActivityLogged
    | ActivityAssigned
    | ActivityRescheduled
    | ActivityStarted
    | ActivityCompleted
    | ActivityCancelled
    | ActivityRetracted
)


class ActivityUnknown(Refusal):
    """There is no such activity."""


class ActivityAlreadyRecorded(Refusal):
    """An activity with this id was recorded before, with other values."""


class ActivityAboutNothing(Refusal):
    """An activity is about a customer, a contact, a lead, a deal or a ticket: name at least one."""


class ActivityFinished(Refusal):
    """The activity is {status} and no longer changes."""


@dataclass(frozen=True, slots=True)
class Activity(State[ActivityEvent]):
    """What decisions about an activity need to know."""

    status: Status = "unknown"
    owner: UUID | None = None
    due: Moment | None = None
    recorded: ActivityPlanned | ActivityLogged | None = None
    completion: ActivityCompleted | None = None
    cancellation: ActivityCancelled | None = None

    def evolve(self, event: ActivityEvent, /) -> Activity:
        match event:
            case ActivityPlanned():
                return replace(
                    self, status="planned", owner=event.owner, due=event.due, recorded=event
                )
            case ActivityLogged():
                return replace(self, status="completed", owner=event.owner, recorded=event)
            case ActivityAssigned():
                return replace(self, owner=event.owner)
            case ActivityRescheduled():
                return replace(self, due=event.due)
            case ActivityStarted():
                return replace(self, status="started")
            case ActivityCompleted():
                return replace(self, status="completed", completion=event)
            case ActivityCancelled():
                return replace(self, status="cancelled", cancellation=event)
            case ActivityRetracted():
                return Activity()
            case _:
                assert_never(event)
