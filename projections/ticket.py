"""What readers see of tickets."""

from domain.ticket import (
    Ticket,
    TicketAbsorbed,
    TicketAssigned,
    TicketCategorized,
    TicketClosed,
    TicketCustomFieldsSet,
    TicketMerged,
    TicketNoted,
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
    TicketSeparated,
    TicketSolved,
    TicketStarted,
    TicketUnmerged,
)
from projections.base import (
    Assignments,
    Dimension,
    FactTable,
    assign,
    blank,
    envelope,
    field,
    row,
    state,
)
from readmodels.units import count, ordinal, points

MERGED: Assignments = assign(owner=field.assignee, priority=field, category=field, custom=field)

ticket = Dimension(
    "ticket",
    of=Ticket,
    on={
        TicketOpened: assign(
            status="new",
            customer_id=field,
            contact_id=field,
            channel=field,
            priority=field,
            category=field,
            follow_up_of=field,
            opened_at=envelope.effective_at,
            replies=0,
            comments=0,
            reopenings=0,
            custom=field,
            title=field,
            body=field,
            custom_personal=field,
        ),
        TicketAssigned: assign(owner=field.assignee),
        TicketStarted: assign(status=field.to_status),
        TicketReplied: assign(replies=field.reply_number),
        TicketRequesterHeard: assign(comments=field.comment_number),
        TicketNoted: assign(),
        TicketPutPending: assign(status=field.to_status),
        TicketPutOnHold: assign(status=field.to_status, hold_reason=field),
        TicketResumed: assign(status=field.to_status),
        TicketSolved: assign(
            status=field.to_status, solved_at=envelope.effective_at, resolution=field
        ),
        TicketReopened: assign(status=field.to_status, solved_at=None, reopenings=field),
        TicketClosed: assign(status=field.to_status, closed_at=envelope.effective_at),
        TicketPriorityChanged: assign(priority=field),
        TicketCategorized: assign(category=field),
        TicketRated: assign(rating=field),
        TicketCustomFieldsSet: assign(custom=field, custom_personal=field),
        TicketMerged: assign(merged_into=field),
        TicketUnmerged: assign(merged_into=None),
        TicketAbsorbed: MERGED,
        TicketSeparated: MERGED,
        TicketRetracted: blank(status="retracted"),
    },
    description="Tickets: who asked for help, and how it went.",
    columns={
        "status": "new, open, pending, on_hold, solved or closed.",
        "owner": "The user it is assigned to.",
        "customer_id": "The customer who asked.",
        "contact_id": "The contact who asked.",
        "channel": "email, phone, chat, web or social.",
        "priority": "low, normal, high or urgent.",
        "category": "What it is about.",
        "follow_up_of": "The closed ticket it goes on from.",
        "opened_at": "When it was opened.",
        "solved_at": "When it was last solved, if it still is.",
        "closed_at": "When it was closed.",
        "replies": count("Replies to the requester so far."),
        "comments": count("Comments of the requester so far."),
        "reopenings": count("How often it was taken up again."),
        "hold_reason": "What it waits for, or waited for last.",
        "rating": points(
            "What the requester said last of the help: 1 (bad) to 5 (good); reopening leaves it."
        ),
        "merged_into": "The ticket it is merged into: shown there instead.",
        "custom": "Custom fields, as one object.",
        "title": "What the request is, in a line.",
        "body": "The request.",
        "resolution": "How it was solved.",
        "custom_personal": "Personal custom fields, as one object.",
    },
)

CHANGE: Assignments = row(
    from_status=field,
    to_status=field,
    priority=state.priority,
    ticket_owner=state.owner,
    customer_id=state.customer_id,
)

ticket_status_change = FactTable(
    "ticket_status_change",
    of=ticket,
    on={
        TicketOpened: row(
            to_status=state.status,
            priority=state.priority,
            ticket_owner=state.owner,
            customer_id=state.customer_id,
        ),
        TicketStarted: CHANGE,
        TicketPutPending: CHANGE,
        TicketPutOnHold: {**CHANGE, **row(reason=field.hold_reason)},
        TicketResumed: CHANGE,
        TicketSolved: CHANGE,
        TicketReopened: {**CHANGE, **row(reason=field.reopen_reason, conflicts=field)},
        TicketClosed: CHANGE,
    },
    description="Steps of tickets from one status to the next, from the opening on.",
    columns={
        "from_status": "The status before; null when the ticket was opened.",
        "to_status": "The status after.",
        "priority": "How urgent the ticket was then.",
        "ticket_owner": "The user it was assigned to then.",
        "customer_id": "The customer who asked.",
        "reason": "What the ticket was put on hold or reopened for.",
        "conflicts": "What was otherwise by then that matters once it is taken up again, as a list "
        "of kind, id and field.",
    },
)

ticket_reply = FactTable(
    "ticket_reply",
    of=ticket,
    on={
        TicketReplied: row(
            direction="outbound", reply_number=field, ticket_owner=state.owner, body=field
        ),
        TicketRequesterHeard: row(
            direction="inbound",
            reply_number=field.comment_number,
            channel=field,
            ticket_owner=state.owner,
            body=field,
        ),
    },
    description="What was said between requesters and support.",
    columns={
        "direction": "outbound (support) or inbound (the requester).",
        "reply_number": ordinal("1 for the first in its direction, and so on."),
        "channel": "How the requester said it: email, phone, chat, web or social.",
        "ticket_owner": "The user the ticket was assigned to then.",
        "body": "What was said.",
    },
)

ticket_note = FactTable(
    "ticket_note",
    of=ticket,
    on={TicketNoted: row(ticket_owner=state.owner, body=field)},
    description="What support noted for itself; requesters do not see it.",
    columns={
        "ticket_owner": "The user the ticket was assigned to then.",
        "body": "What was noted.",
    },
)

ticket_rating = FactTable(
    "ticket_rating",
    of=ticket,
    on={
        TicketRated: row(
            rating=field, ticket_owner=state.owner, customer_id=state.customer_id, body=field
        ),
    },
    description="What requesters thought of the help.",
    columns={
        "rating": points("1 (bad) to 5 (good)."),
        "ticket_owner": "The user the ticket was assigned to then.",
        "customer_id": "The customer who asked.",
        "body": "What the requester said.",
    },
)
