"""What readers see of activities."""

from domain.activity import (
    Activity,
    ActivityAssigned,
    ActivityCancelled,
    ActivityCompleted,
    ActivityLogged,
    ActivityPlanned,
    ActivityRescheduled,
    ActivityRetracted,
    ActivityStarted,
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
from readmodels.units import minutes

ABOUT: Assignments = assign(
    customer_id=field,
    contact_id=field,
    lead_id=field,
    deal_id=field,
    ticket_id=field,
)

activity = Dimension(
    "activity",
    of=Activity,
    on={
        ActivityPlanned: {
            **ABOUT,
            **assign(
                status="planned", kind=field, owner=field, due=field, priority=field, title=field
            ),
        },
        ActivityLogged: {
            **ABOUT,
            **assign(
                status="completed",
                kind=field,
                owner=field,
                direction=field,
                outcome=field,
                duration_minutes=field,
                completed_at=envelope.effective_at,
                title=field,
                note=field,
            ),
        },
        ActivityAssigned: assign(owner=field),
        ActivityRescheduled: assign(due=field),
        ActivityStarted: assign(status="started"),
        ActivityCompleted: assign(
            status="completed",
            outcome=field,
            duration_minutes=field,
            note=field,
            completed_at=envelope.effective_at,
        ),
        ActivityCancelled: assign(status="cancelled", reason=field, note=field),
        ActivityRetracted: blank(status="retracted"),
    },
    description="Activities: tasks, calls, meetings and messages, planned or done.",
    columns={
        "status": "planned, started, completed or cancelled.",
        "owner": "The user who does it.",
        "kind": "task, call, meeting, email or message.",
        "customer_id": "The customer it is about.",
        "contact_id": "The contact it is with.",
        "lead_id": "The lead it is with.",
        "deal_id": "The deal it is about.",
        "ticket_id": "The ticket it is about.",
        "due": "When it is to be done.",
        "priority": "low, normal or high.",
        "direction": "inbound, outbound or internal.",
        "outcome": "How it ended, such as reached or no_answer.",
        "duration_minutes": minutes("How long it took."),
        "completed_at": "When it was done.",
        "reason": "Why it was cancelled.",
        "title": "What it is, in a line.",
        "note": "What was noted about it.",
    },
)

DONE: Assignments = row(
    kind=state.kind,
    outcome=field,
    duration_minutes=field,
    activity_owner=state.owner,
    customer_id=state.customer_id,
    contact_id=state.contact_id,
    lead_id=state.lead_id,
    deal_id=state.deal_id,
    ticket_id=state.ticket_id,
)

interaction = FactTable(
    "interaction",
    of=activity,
    on={
        ActivityLogged: {**DONE, **row(direction=field, note=field)},
        ActivityCompleted: {**DONE, **row(note=field)},
    },
    description="Calls, meetings, tasks and messages that took place; `occurred_at` says when.",
    columns={
        "kind": "task, call, meeting, email or message.",
        "direction": "inbound, outbound or internal.",
        "outcome": "How it ended, such as reached or no_answer.",
        "duration_minutes": minutes("How long it took."),
        "activity_owner": "The user who did it.",
        "customer_id": "The customer it was about.",
        "contact_id": "The contact it was with.",
        "lead_id": "The lead it was with.",
        "deal_id": "The deal it was about.",
        "ticket_id": "The ticket it was about.",
        "note": "What was noted about it.",
    },
)
