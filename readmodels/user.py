"""Questions about users as owners: their SQL is in user.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report
from readmodels.units import count, money, share

owner_performance = report(
    "owner_performance",
    where={"owner": UUID, "team": str},
    columns={
        "owner": "The user.",
        "handle": "Name to log in with.",
        "team": "The team.",
        "leads_in_work": count("Leads that are open or qualified."),
        "leads_converted": count("Leads that became customers."),
        "leads_disqualified": count("Leads that were given up."),
        "deals_open": count("Open deals."),
        "deals_won": count("Deals won while the user had them."),
        "deals_lost": count("Deals lost while the user had them."),
        "win_rate": share("The share of both that was won, 0 to 1."),
        "activities_to_do": count("Activities planned or started."),
        "activities_overdue": count("Those of them that are overdue."),
        "activities_done": count("Activities done."),
        "tickets_open": count("Tickets not solved."),
        "tickets_solved": count("Tickets solved or closed."),
    },
)

owner_sales = report(
    "owner_sales",
    where={"owner": UUID, "currency": str},
    columns={
        "owner": "The user; null: nobody.",
        "currency": "Currency of the amounts, ISO 4217.",
        "deals_open": count("Open deals."),
        "open_amount": money("What they are worth."),
        "expected": money("The same, each times its probability."),
        "deals_won": count("Deals won while the user had them."),
        "won_amount": money("What they brought."),
        "deals_lost": count("Deals lost while the user had them."),
        "lost_amount": money("What they were worth."),
    },
)
