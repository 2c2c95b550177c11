"""Questions about activities: their SQL is in activity.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report
from readmodels.schema import HAPPENED
from readmodels.units import count, days, minutes

customer_interactions = report(
    "customer_interactions",
    where={"customer_id": UUID, "kind": str, "activity_owner": UUID},
    during="occurred_at",
    columns={
        "customer_id": "The customer it was about, named or found by what it was about.",
        "id": "The activity.",
        "kind": "task, call, meeting, email or message.",
        "direction": "inbound, outbound or internal.",
        "outcome": "How it ended, such as reached or no_answer.",
        "duration_minutes": minutes("How long it took."),
        "activity_owner": "The user who did it.",
        "contact_id": "The contact it was with.",
        "lead_id": "The lead it was with.",
        "deal_id": "The deal it was about.",
        "ticket_id": "The ticket it was about.",
        **{column.name: column.description for column in HAPPENED},
    },
)

overdue_activities = report(
    "overdue_activities",
    where={"owner": UUID, "kind": str, "priority": str, "customer_id": UUID, "deal_id": UUID},
    columns={
        "activity_id": "The activity.",
        "kind": "task, call, meeting, email or message.",
        "status": "planned or started.",
        "priority": "low, normal or high.",
        "owner": "The user who should have done it.",
        "due": "By when.",
        "overdue_days": days("Days since then."),
        "customer_id": "The customer it is about.",
        "contact_id": "The contact it is with.",
        "lead_id": "The lead it is with.",
        "deal_id": "The deal it is about.",
        "ticket_id": "The ticket it is about.",
    },
)

activity_summary = report(
    "activity_summary",
    where={"owner": UUID, "kind": str},
    columns={
        "owner": "The user.",
        "kind": "task, call, meeting, email or message.",
        "to_do": count("Activities planned or started."),
        "overdue": count("Those of them that are overdue."),
        "completed": count("Activities done."),
        "cancelled": count("Activities that will not be done."),
        "minutes": minutes("How long those done took together, as far as it was told."),
        "last_completed_at": "When the last of them was done.",
    },
)
