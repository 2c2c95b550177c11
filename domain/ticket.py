"""A ticket: somebody needs help, and we say when it was asked, answered and solved.

new -> open -> pending or on hold -> solved -> closed. A ticket is new once; what its requester
writes opens it again until it is closed, and then a follow-up is a new ticket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, assert_never
from uuid import UUID

from pydantic import Field

from domain.base import Event, Personal, Refusal, State, replace
from domain.merger import (
    Absorbed,
    Absorption,
    Merged,
    Parts,
    Separated,
    Unmerged,
    absorbing,
    separating,
)
from domain.undo import Conflicts, without_conflicts
from domain.values import CustomValue, Line, Text, Whole

Channel = Literal["email", "phone", "chat", "web", "social"]
Priority = Literal["low", "normal", "high", "urgent"]
ReopenReason = Literal["requester_wrote", "not_fixed", "solved_by_mistake", "other"]
Rating = Annotated[Whole, Field(ge=1, le=5)]
"""What the requester thinks of the help: 1 (bad) to 5 (good)."""

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Status = Literal["unknown", "new", "open", "pending", "on_hold", "solved", "closed"]


class TicketOpened(Event, type="ticket.opened.v1"):
    """Somebody asked for help."""

    customer_id: UUID | None
    contact_id: UUID | None
    title: Personal[Line]
    body: Personal[Text]
    channel: Channel
    priority: Priority
    category: Line | None
    follow_up_of: UUID | None
    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class TicketAssigned(Event, type="ticket.assigned.v1"):
    """An agent became responsible for the ticket; null: nobody is."""

    assignee: UUID | None
    previous_assignee: UUID | None


class TicketStarted(Event, type="ticket.started.v1"):
    """Work on a new ticket began: it is new no more, for ever."""

    from_status: Status
    to_status: Status


class TicketReplied(Event, type="ticket.replied.v1"):
    """An agent answered the requester; `reply_number` 1 is the first response."""

    reply_number: Count
    body: Personal[Text]


class TicketRequesterHeard(Event, type="ticket.requester_heard.v1"):
    """The requester wrote or called again."""

    comment_number: Count
    channel: Channel
    body: Personal[Text]


class TicketNoted(Event, type="ticket.noted.v1"):
    """An agent left a note that the requester does not see."""

    body: Personal[Text]


class TicketPutPending(Event, type="ticket.put_pending.v1"):
    """The ticket waits for its requester."""

    from_status: Status
    to_status: Status


class TicketPutOnHold(Event, type="ticket.put_on_hold.v1"):
    """The ticket waits for somebody else."""

    from_status: Status
    to_status: Status
    hold_reason: Line


class TicketResumed(Event, type="ticket.resumed.v1"):
    """The ticket waits no longer."""

    from_status: Status
    to_status: Status


class TicketSolved(Event, type="ticket.solved.v1"):
    """The assignee found the answer."""

    from_status: Status
    to_status: Status
    resolution: Personal[Text]


class TicketReopened(
    Event, type="ticket.reopened.v2", lifts={"ticket.reopened.v1": without_conflicts}
):
    """A solved ticket was not solved after all."""

    from_status: Status
    to_status: Status
    reopen_reason: ReopenReason
    reopenings: Count
    conflicts: Conflicts


class TicketClosed(Event, type="ticket.closed.v1"):
    """A solved ticket was put away for good."""

    from_status: Status
    to_status: Status


class TicketPriorityChanged(Event, type="ticket.priority_changed.v1"):
    """The ticket became more or less urgent."""

    priority: Priority
    previous_priority: Priority


class TicketCategorized(Event, type="ticket.categorized.v1"):
    """It became clear what the ticket is about."""

    category: Line | None
    previous_category: Line | None


class TicketRated(Event, type="ticket.rated.v1"):
    """The requester said how good the help was."""

    rating: Rating
    body: Personal[Text]


class TicketCustomFieldsSet(Event, type="ticket.custom_fields_set.v1"):
    """Custom fields took new values; all of them are listed, as they are now."""

    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class TicketRetracted(Event, type="ticket.retracted.v1"):
    """The record was taken back: it is as if the ticket had never been opened."""

    reason: Line


class TicketValues(Event):
    """What a merger sets of a ticket."""

    assignee: UUID | None
    priority: Priority
    category: Line | None
    custom: dict[str, CustomValue]


class TicketMerged(Merged, type="ticket.merged.v1"):
    """The ticket asks for the same as another one, and is shown with it from now on."""


class TicketUnmerged(Unmerged, type="ticket.unmerged.v1"):
    """The ticket asked for something else after all."""


class TicketAbsorbed(TicketValues, Absorbed, type="ticket.absorbed.v1"):
    """Another ticket was merged into this one, which has these values from now on."""


class TicketSeparated(TicketValues, Separated, type="ticket.separated.v1"):
    """A ticket that was merged into this one is its own again."""


TicketEvent = (
    TicketOpened
    | TicketAssigned
    | TicketStarted
    | TicketReplied
    | TicketRequesterHeard
    | TicketNoted
    | TicketPutPending
    | TicketPutOnHold
    | TicketResumed
    | TicketSolved
    | TicketReopened
    | TicketClosed
    | TicketPriorityChanged
    | TicketCategorized
    | TicketRated
    | TicketCustomFieldsSet
    | TicketMerged
    | TicketUnmerged
    | TicketAbsorbed
    | TicketSeparated
    | TicketRetracted
)

PARTS: Parts = {name: (name,) for name in TicketValues.model_fields}
"""What another ticket may take over."""

OPENED = ("priority", "category", "custom", "custom_personal")
"""What a ticket has from its first event."""


class TicketUnknown(Refusal):
    """There is no such ticket."""


class TicketAlreadyOpened(Refusal):
    """A ticket with this id was opened before, with other values."""


class TicketFollowsUnclosed(Refusal):
    """The ticket {follow_up_of} is {status}; only a closed ticket gets a follow-up."""


class TicketSealed(Refusal):
    """The ticket is closed and no longer changes; open a follow-up instead."""


class TicketNotOpen(Refusal):
    """The ticket is {status}; only a ticket being worked on can do this."""


class TicketNotWaiting(Refusal):
    """The ticket is {status}; only a pending ticket or one on hold can be resumed."""


class TicketNotSolved(Refusal):
    """The ticket is {status}; only a solved ticket can do this."""


class TicketUnassigned(Refusal):
    """The ticket has no assignee; it takes one to solve it."""


@dataclass(frozen=True, slots=True)
class Ticket(State[TicketEvent]):
    """What decisions about a ticket need to know."""

    status: Status = "unknown"
    assignee: UUID | None = None
    priority: Priority = "normal"
    category: str | None = None
    replies: int = 0
    comments: int = 0
    reopenings: int = 0
    hold_reason: str | None = None
    custom: dict[str, CustomValue] = field(default_factory=dict)
    custom_personal: dict[str, CustomValue] = field(default_factory=dict)
    opened: TicketOpened | None = None
    solution: TicketSolved | None = None
    reopening: TicketReopened | None = None
    rated: TicketRated | None = None
    merger: TicketMerged | TicketUnmerged | None = None
    absorbed: dict[UUID, Absorption] = field(default_factory=dict)
    """The tickets merged into this one."""

    def evolve(self, event: TicketEvent, /) -> Ticket:
        match event:
            case TicketOpened():
                told: dict[str, Any] = {name: getattr(event, name) for name in OPENED}
                return replace(self, status="new", opened=event, **told)
            case TicketAssigned():
                return replace(self, assignee=event.assignee)
            case TicketReplied():
                return replace(self, replies=event.reply_number)
            case TicketRequesterHeard():
                return replace(self, comments=event.comment_number)
            case TicketNoted():
                return self
            case TicketStarted() | TicketPutPending() | TicketResumed() | TicketClosed():
                return replace(self, status=event.to_status)
            case TicketPutOnHold():
                return replace(self, status=event.to_status, hold_reason=event.hold_reason)
            case TicketSolved():
                return replace(self, status=event.to_status, solution=event)
            case TicketReopened():
                reopened = replace(self, reopening=event, reopenings=event.reopenings)
                return replace(reopened, status=event.to_status, rated=None)
            case TicketPriorityChanged():
                return replace(self, priority=event.priority)
            case TicketCategorized():
                return replace(self, category=event.category)
            case TicketRated():
                return replace(self, rated=event)
            case TicketCustomFieldsSet():
                return replace(self, custom=event.custom, custom_personal=event.custom_personal)
            case TicketMerged() | TicketUnmerged():
                return replace(self, merger=event)
            case TicketAbsorbed():
                return absorbing(self, event, PARTS)
            case TicketSeparated():
                return separating(self, event, PARTS)
            case TicketRetracted():
                return Ticket()
            case _:
                assert_never(event)
