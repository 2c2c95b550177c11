"""Questions about tickets: their SQL, and how times are taken, is in ticket.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report
from readmodels.units import count, days, hours, points, share

ticket_backlog = report(
    "ticket_backlog",
    where={"status": str, "priority": str, "owner": UUID},
    columns={
        "status": "new, open, pending or on_hold.",
        "priority": "low, normal, high or urgent.",
        "owner": "The user they are assigned to; null: nobody.",
        "tickets": count("How many there are."),
        "unanswered": count("Those that support has not replied to."),
        "oldest_opened_at": "When the oldest was opened.",
        "oldest_days": days("Days since then."),
        "median_days": days("How old half of them are at most."),
    },
)

ticket_backlog_daily = report(
    "ticket_backlog_daily",
    during="day",
    columns={
        "day": "The day, in UTC.",
        "opened": count("Tickets opened on the day."),
        "reopened": count("Solved tickets that were taken up again."),
        "solved": count("Tickets solved on the day."),
        "backlog": count("Tickets not solved at its end."),
    },
)

TIMES = {
    "ticket_id": "The ticket.",
    "status": "new, open, pending, on_hold, solved or closed.",
    "priority": "low, normal, high or urgent.",
    "category": "What it is about.",
    "channel": "email, phone, chat, web or social.",
    "owner": "The user it is assigned to.",
    "customer_id": "The customer who asked.",
    "opened_at": "When it was opened.",
    "first_response_at": "When support first replied.",
    "solved_at": "When it was last solved, if it still is.",
    "first_response_hours": hours("Hours from opening to the first reply."),
    "resolution_hours": hours("Hours from opening to the solution that holds."),
    "waiting_hours": hours("Hours so far, while there is none."),
    "replies": count("Replies to the requester."),
    "comments": count("Comments of the requester."),
    "reopenings": count("How often it was taken up again."),
    "rating": points("What the requester thinks of the help: 1 (bad) to 5 (good)."),
}
"""The columns of a ticket with its times."""

ticket_times = report(
    "ticket_times",
    where={"status": str, "priority": str, "owner": UUID, "customer_id": UUID, "channel": str},
    during="opened_at",
    columns=TIMES,
)

ticket_summary = report(
    "ticket_summary",
    where={"priority": str},
    during="month",
    columns={
        "month": "First day of the month in which the tickets were opened.",
        "priority": "low, normal, high or urgent.",
        "tickets": count("How many there are."),
        "answered": count("Those that support replied to."),
        "solved": count("Those that are solved."),
        "reopened": count("Those that were taken up again at least once."),
        "first_response_median_hours": hours("How long half of the answered waited at most."),
        "first_response_p90_hours": hours("How long nine in ten of them waited at most."),
        "resolution_median_hours": hours("How long half of the solved took at most."),
        "resolution_p90_hours": hours("How long nine in ten of them took at most."),
    },
)

ticket_csat = report(
    "ticket_csat",
    where={"owner": UUID},
    during="month",
    columns={
        "month": "First day of the month in which the ratings were given.",
        "owner": "The user the ticket was assigned to then.",
        "ratings": count("Tickets that were rated."),
        "csat": share("The share of those rated 4 or 5, 0 to 1."),
        "mean_rating": points("The rating on average, 1 to 5."),
        "bad_ratings": count("Those rated 1 or 2."),
    },
)
