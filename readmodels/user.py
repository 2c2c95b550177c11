"""Questions about users as owners: their SQL is in user.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report

owner_performance = report(
    "owner_performance",
    where={"owner": UUID, "team": str},
    columns={
        "owner": "The user.",
        "handle": "Name to log in with.",
        "team": "The team.",
        "leads_in_work": "Leads that are open or qualified.",
        "leads_converted": "Leads that became customers.",
        "leads_disqualified": "Leads that were given up.",
        "deals_open": "Open deals.",
        "deals_won": "Deals won while the user had them.",
        "deals_lost": "Deals lost while the user had them.",
        "win_rate": "The share of both that was won, 0 to 1.",
        "activities_to_do": "Activities planned or started.",
        "activities_overdue": "Those of them that are overdue.",
        "activities_done": "Activities done.",
        "tickets_open": "Tickets not solved.",
        "tickets_solved": "Tickets solved or closed.",
    },
)

owner_sales = report(
    "owner_sales",
    where={"owner": UUID, "currency": str},
    columns={
        "owner": "The user; null: nobody.",
        "currency": "Currency of the amounts, ISO 4217.",
        "deals_open": "Open deals.",
        "open_amount": "What they are worth.",
        "expected": "The same, each times its probability.",
        "deals_won": "Deals won while the user had them.",
        "won_amount": "What they brought.",
        "deals_lost": "Deals lost while the user had them.",
        "lost_amount": "What they were worth.",
    },
)
