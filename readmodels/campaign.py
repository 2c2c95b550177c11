"""Questions about campaigns: their SQL, and how credit is given, is in campaign.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report
from readmodels.units import count, money, ordinal, ratio, share

deal_touches = report(
    "deal_touches",
    where={"deal_id": UUID, "campaign_id": UUID, "member_id": UUID, "kind": str},
    columns={
        "deal_id": "The deal that was won.",
        "amount": money("What it brought."),
        "currency": "Currency of the amount, ISO 4217.",
        "closed_at": "When it was won.",
        "campaign_id": "The campaign.",
        "member_id": "The lead or contact it reached.",
        "kind": "sent, opened, clicked, replied or converted.",
        "occurred_at": "When it happened.",
        "position": ordinal("Position of the touch in the log."),
        "number": ordinal("1 for the first touch on the way to the deal, and so on."),
        "touches": count("How many touches there were on it."),
    },
)

campaign_credits = report(
    "campaign_credits",
    where={"model": str, "deal_id": UUID, "campaign_id": UUID, "currency": str},
    columns={
        "model": "first, last or even.",
        "deal_id": "The deal that was won.",
        "campaign_id": "The campaign; null: none touched the deal.",
        "position": ordinal("Position of the touch in the log."),
        "currency": "Currency of the credit, ISO 4217.",
        "credit": money("What of the deal's amount is credited to the touch."),
    },
)

campaign_attribution = report(
    "campaign_attribution",
    where={"model": str, "campaign_id": UUID, "currency": str},
    columns={
        "model": "first, last or even.",
        "campaign_id": "The campaign; null: none touched the deals.",
        "campaign": "Its name.",
        "currency": "Currency of the credit, ISO 4217.",
        "deals": count("Won deals the campaign has credit for."),
        "credit": money("What of their amounts is credited to it."),
    },
)

campaign_performance = report(
    "campaign_performance",
    where={"campaign_id": UUID, "status": str, "channel": str},
    columns={
        "campaign_id": "The campaign.",
        "campaign": "Its name.",
        "status": "planned, scheduled, running, paused or completed.",
        "channel": "email, social, event, ads, content, phone, mail or other.",
        "members": count("Leads and contacts it is meant for."),
        "sent": count("Those it was sent to."),
        "opened": count("Those who opened it."),
        "clicked": count("Those who clicked."),
        "replied": count("Those who replied."),
        "bounced": count("Those it could not reach."),
        "opted_out": count("Those who want no more of it."),
        "open_rate": share("The share of those it was sent to who opened it."),
        "click_rate": share("The share of those it was sent to who clicked."),
        "converted_leads": count("Leads that were touched and then converted."),
        "deals_won": count("Deals that were won after a touch, in the campaign's currency."),
        "currency": "Currency of the amounts, ISO 4217.",
        "budget": money("What it may cost."),
        "cost": money("What it and its touches cost so far."),
        "cost_per_converted_lead": money("The cost for each converted lead."),
        "revenue": money("What the deals brought."),
        "roi": ratio("What came back beyond the cost, per unit of cost."),
    },
)
