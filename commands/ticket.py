"""What can be asked of tickets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from commands.base import Command, Reference, World
from commands.custom_fields import CustomValues, custom_changes, custom_values
from commands.merger import must_have_none_merged, must_stand_alone
from commands.user import may_own, who_left
from domain.contact import Contact
from domain.customer import Customer
from domain.ticket import (
    Channel,
    Priority,
    Rating,
    ReopenReason,
    Ticket,
    TicketAlreadyOpened,
    TicketAssigned,
    TicketCategorized,
    TicketClosed,
    TicketCustomFieldsSet,
    TicketEvent,
    TicketFollowsUnclosed,
    TicketNoted,
    TicketNotOpen,
    TicketNotSolved,
    TicketNotWaiting,
    TicketOpened,
    TicketPriorityChanged,
    TicketPutOnHold,
    TicketPutPending,
    TicketRated,
    TicketReopened,
    TicketReplied,
    TicketRequesterHeard,
    TicketResumed,
    TicketRetracted,
    TicketSealed,
    TicketSolved,
    TicketStarted,
    TicketUnassigned,
    TicketUnknown,
)
from domain.undo import Conflict
from domain.user import User
from domain.values import Line, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

Body = Annotated[Text, Field(min_length=1)]


class OpenTicket(Command[Ticket], creates=True):
    """Record that somebody asks for help; a closed ticket is taken up again by a follow-up."""

    customer_id: Reference[Customer] | None = None
    contact_id: Reference[Contact] | None = None
    title: Line
    body: Text = ""
    channel: Channel
    priority: Priority = "normal"
    category: Line | None = None
    follow_up_of: Reference[Ticket] | None = None
    custom: CustomValues = Field(default_factory=dict)

    example = {
        "customer_id": "00000000-0000-4000-8000-000000000004",
        "title": "The invoice shows the wrong address",
        "body": "Please send it again with our new address.",
        "channel": "email",
        "priority": "high",
        "category": "billing",
    }

    def decide_in(self, world: World, ticket: Ticket, /) -> Iterator[TicketEvent]:
        opened = TicketOpened(**self.fields() | custom_values(world, Ticket, self.custom))
        if ticket.opened == opened:
            return
        if ticket.opened is not None:
            raise TicketAlreadyOpened
        if self.follow_up_of:
            before = world.load(Ticket, self.follow_up_of)
            if before.status != "closed":
                raise TicketFollowsUnclosed(follow_up_of=self.follow_up_of, status=before.status)
        yield opened


class AssignTicket(Command[Ticket]):
    """Make an agent responsible for a ticket; a new ticket is open from then on."""

    assignee: Reference[User]

    example = {"assignee": "00000000-0000-4000-8000-000000000001"}

    def decide_in(self, world: World, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        if ticket.assignee == self.assignee:
            return
        may_own(world, self.assignee)
        yield TicketAssigned(assignee=self.assignee, previous_assignee=ticket.assignee)
        yield from started(ticket)


class ReplyToTicket(Command[Ticket]):
    """Answer the requester; a new ticket is open from then on."""

    body: Body

    example = {"body": "The corrected invoice is on its way."}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        yield TicketReplied(reply_number=ticket.replies + 1, body=self.body)
        yield from started(ticket)


class HearFromTicketRequester(Command[Ticket]):
    """Record that the requester wrote or called; a waiting or solved ticket is open again."""

    channel: Channel
    body: Body

    example = {"channel": "email", "body": "It still shows the old address."}

    def decide_in(self, world: World, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        yield TicketRequesterHeard(**self.fields(), comment_number=ticket.comments + 1)
        if ticket.status == "solved":
            yield reopened(world, ticket, "requester_wrote")
        elif ticket.status in ("pending", "on_hold"):
            yield TicketResumed(from_status=ticket.status, to_status="open")


class AddTicketNote(Command[Ticket]):
    """Leave a note for colleagues; the requester does not see it."""

    body: Body

    example = {"body": "Accounting knows about it."}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        yield TicketNoted(body=self.body)


class PutTicketPending(Command[Ticket]):
    """Let a ticket wait for its requester."""

    example = {}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        if ticket.status == "pending":
            return
        if ticket.status not in ("open", "on_hold"):
            raise TicketNotOpen(status=ticket.status)
        yield TicketPutPending(from_status=ticket.status, to_status="pending")


class PutTicketOnHold(Command[Ticket]):
    """Let a ticket wait for somebody who is not its requester."""

    hold_reason: Line

    example = {"hold_reason": "Waiting for the carrier"}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        if (ticket.status, ticket.hold_reason) == ("on_hold", self.hold_reason):
            return
        if ticket.status not in ("open", "pending"):
            raise TicketNotOpen(status=ticket.status)
        yield TicketPutOnHold(
            from_status=ticket.status, to_status="on_hold", hold_reason=self.hold_reason
        )


class ResumeTicket(Command[Ticket]):
    """Go on with a ticket that waits."""

    example = {}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        if ticket.status == "open":
            return
        if ticket.status not in ("pending", "on_hold"):
            raise TicketNotWaiting(status=ticket.status)
        yield TicketResumed(from_status=ticket.status, to_status="open")


class SolveTicket(Command[Ticket]):
    """Say that the requester is helped, and how."""

    resolution: Text = ""

    example = {"resolution": "Sent the corrected invoice."}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        solution = ticket.solution
        if ticket.status == "solved" and solution and solution.resolution == self.resolution:
            return
        if ticket.assignee is None:
            raise TicketUnassigned
        if ticket.status not in ("open", "pending", "on_hold"):
            raise TicketNotOpen(status=ticket.status)
        yield TicketSolved(
            from_status=ticket.status, to_status="solved", resolution=self.resolution
        )


class ReopenTicket(Command[Ticket]):
    """Take a solved ticket up again; a rating of its solution, and who left, are conflicts."""

    reopen_reason: ReopenReason

    example = {"reopen_reason": "not_fixed"}

    def decide_in(self, world: World, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        last = ticket.reopening
        if ticket.status == "open" and last and last.reopen_reason == self.reopen_reason:
            return
        if ticket.status != "solved":
            raise TicketNotSolved(status=ticket.status)
        yield reopened(world, ticket, self.reopen_reason)


class CloseTicket(Command[Ticket]):
    """Put a solved ticket away for good."""

    example = {}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        known(ticket)
        if ticket.status == "closed":
            return
        if ticket.status != "solved":
            raise TicketNotSolved(status=ticket.status)
        yield TicketClosed(from_status=ticket.status, to_status="closed")


class ChangeTicketPriority(Command[Ticket]):
    """Make a ticket more or less urgent."""

    priority: Priority

    example = {"priority": "urgent"}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        if ticket.priority != self.priority:
            yield TicketPriorityChanged(priority=self.priority, previous_priority=ticket.priority)


class CategorizeTicket(Command[Ticket]):
    """Say what a ticket is about."""

    category: Line

    example = {"category": "billing"}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        if ticket.category != self.category:
            yield TicketCategorized(category=self.category, previous_category=ticket.category)


class RateTicket(Command[Ticket]):
    """Record what the requester thinks of the help; a later rating replaces it."""

    rating: Rating
    body: Text = ""

    example = {"rating": 5, "body": "That was quick."}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        known(ticket)
        if ticket.status not in ("solved", "closed"):
            raise TicketNotSolved(status=ticket.status)
        rated = TicketRated(**self.fields())
        if ticket.rated != rated:
            yield rated


class SetTicketCustomFields(Command[Ticket]):
    """Set custom fields of a ticket; fields not named keep their values."""

    custom: CustomValues

    example = {"custom": {}}

    def decide_in(self, world: World, ticket: Ticket, /) -> Iterator[TicketEvent]:
        unsealed(ticket)
        if changes := custom_changes(world, Ticket, ticket, self.custom):
            yield TicketCustomFieldsSet(**changes)


class RetractTicket(Command[Ticket]):
    """Take back a ticket that should never have been opened; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, ticket: Ticket, /) -> Iterator[TicketEvent]:
        known(ticket)
        must_have_none_merged(ticket)
        yield TicketRetracted(reason=self.reason)


def known(ticket: Ticket) -> None:
    """Refuse what is asked of a ticket that was never opened, or is merged into another one."""
    if ticket.status == "unknown":
        raise TicketUnknown
    must_stand_alone(ticket)


def unsealed(ticket: Ticket) -> None:
    """Refuse what is asked of a ticket that was never opened, or is closed."""
    known(ticket)
    if ticket.status == "closed":
        raise TicketSealed


def started(ticket: Ticket) -> Iterator[TicketEvent]:
    """The first thing an agent does with a new ticket opens it."""
    if ticket.status == "new":
        yield TicketStarted(from_status=ticket.status, to_status="open")


def reopened(world: World, ticket: Ticket, reason: ReopenReason) -> TicketReopened:
    """A solved ticket is open again; what was said of the solution, and who left, is told."""
    rated = [Conflict(kind="ticket", id=world.id, field="rating")] if ticket.rated else []
    return TicketReopened(
        from_status=ticket.status,
        to_status="open",
        reopen_reason=reason,
        reopenings=ticket.reopenings + 1,
        conflicts=(*rated, *who_left(world, ticket.assignee)),
    )
