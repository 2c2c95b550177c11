"""Questions about customers: their SQL is in customer.sql, and for one customer in timeline.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report
from readmodels.ticket import TIMES
from readmodels.units import count, days, money, ordinal, points, share

customer_profile = report(
    "customer_profile",
    where={"customer_id": UUID, "status": str, "tier": str, "owner": UUID, "country": str},
    columns={
        "customer_id": "The customer.",
        "name": "Name of the company.",
        "status": "active or closed.",
        "tier": "standard, premium or enterprise.",
        "industry": "The line of business.",
        "country": "Country, ISO 3166-1 alpha-2.",
        "website": "Its web site.",
        "employees": count("How many people work there."),
        "annual_revenue": money("Revenue in a year."),
        "currency": "Currency of the revenue, ISO 4217.",
        "parent_id": "The customer this one belongs to.",
        "owner": "The user responsible for the customer.",
        "customer_since": "When the company became a customer.",
        "preferences": "Settings and wishes, as one object.",
        "health": share("How likely we hear from the customer soon, as customer_health said last."),
        "health_at": "When it said so.",
        "contacts": count("Contacts who play a role there."),
        "deals_open": count("Open deals."),
        "deals_won": count("Won deals."),
        "deals_lost": count("Lost deals."),
        "tickets": count("All tickets."),
        "tickets_open": count("Those not solved."),
        "mean_rating": points("What the customer thinks of our help, 1 to 5, on average."),
        "interactions": count("Calls, meetings, tasks and messages that took place."),
        "last_interaction_at": "When the last one did.",
        "last_interaction": "What it was: task, call, meeting, email or message.",
    },
)

customer_health_board = report(
    "customer_health_board",
    where={"tier": str, "owner": UUID, "band": str},
    columns={
        "customer_id": "The customer.",
        "name": "Name of the company.",
        "tier": "standard, premium or enterprise.",
        "owner": "The user responsible for the customer.",
        "health": share("How likely we hear from the customer soon, as customer_health said last."),
        "band": "red, amber or green; null: nothing was said yet.",
        "health_change": share("By how much health has changed in 30 days."),
        "health_at": "When it was last said.",
        "deals_open": count("Open deals."),
        "deals_won": count("Won deals."),
        "tickets_open": count("Tickets not solved."),
        "mean_rating": points("What the customer thinks of our help, 1 to 5, on average."),
        "last_interaction_at": "When we last had to do with the customer.",
        "quiet_days": days("Days since then."),
    },
)

customer_revenue = report(
    "customer_revenue",
    where={"customer_id": UUID, "currency": str},
    columns={
        "customer_id": "The customer.",
        "currency": "Currency of the amounts, ISO 4217.",
        "deals_open": count("Open deals."),
        "open_amount": money("What they are worth."),
        "expected": money("The same, each times its probability."),
        "deals_won": count("Won deals."),
        "won_amount": money("What they brought."),
        "first_won_at": "When the first of them was won.",
        "last_won_at": "When the last of them was won.",
    },
)

customer_timeline = report(
    "customer_timeline",
    "id",
    of="customer",
    where={"kind": str, "type": str, "actor": UUID},
    during="occurred_at",
    columns={
        "occurred_at": "When it happened.",
        "kind": "What it happened to, such as deal or ticket.",
        "id": "The record it happened to.",
        "type": "What happened, such as deal.won.v1.",
        "detail": "The same, more exactly.",
        "actor": "The user who caused it.",
        "recorded_at": "When the log learned of it.",
        "position": ordinal("Position of the event in the log."),
    },
)

customer_records = report(
    "customer_records",
    "id",
    where={"kind": str},
    columns={
        "id": "The record.",
        "kind": "What it is: customer, contact, lead, deal, ticket, activity or campaign_member.",
        "until": ordinal("Position after which it is the customer's no more; null: it still is."),
    },
)

customer_contacts = report(
    "customer_contacts",
    "id",
    where={"status": str, "role_status": str, "role": str},
    columns={
        "contact_id": "The contact.",
        "status": "active or archived.",
        "role_status": "current, or ended: the contact plays the role no more.",
        "role": "decision_maker, evaluator, influencer, user or other.",
        "since": "Since when, as far as it was said.",
        "until": "Until when, as far as it was said.",
        "title": "Position in the company.",
        "title_level": "executive, manager, staff or other.",
        "email_kind": "Whether the e-mail address is one of a business, a free one, or none.",
        "has_phone": "Whether a telephone number is known.",
        "consents": "Channels on which the contact agreed to be addressed.",
        "lead_id": "The lead the contact came from.",
    },
)

customer_deals = report(
    "customer_deals",
    "id",
    where={"status": str, "stage": str, "owner": UUID},
    columns={
        "deal_id": "The deal.",
        "name": "Name of the deal.",
        "status": "open, won or lost.",
        "stage": "Key of the stage it is in.",
        "amount": money("What it is worth."),
        "currency": "Currency of the amount, ISO 4217.",
        "probability": share("How likely its stage makes a sale, 0 to 1."),
        "expected_close": "When it is expected to be won.",
        "owner": "The user responsible for the deal.",
        "product": "What is sold.",
        "opened_at": "When it was opened.",
        "closed_at": "When it was won or lost.",
        "reason": "Why it was lost.",
    },
)

customer_tickets = report(
    "customer_tickets",
    "id",
    where={"status": str, "priority": str, "owner": UUID},
    columns={name: told for name, told in TIMES.items() if name != "customer_id"},
)

customer_scores = report(
    "customer_scores",
    "id",
    where={"learner": str, "subject_type": str},
    columns={
        "learner": "Who foresees, such as customer_health.",
        "subject_type": "Of what: customer or lead.",
        "subject_id": "The customer, or the lead.",
        "value": share("The probability foreseen, 0 to 1."),
        "occurred_at": "When the event happened that was scored.",
        "model_version": "The version of the model that said so.",
        "position": ordinal("Position of the score in the log."),
    },
)
