"""Questions about leads: their SQL, and how they are counted, is in lead.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report
from readmodels.units import count, days, money, points, share

lead_board = report(
    "lead_board",
    where={"status": str, "owner": UUID, "source": str, "country": str},
    columns={
        "lead_id": "The lead.",
        "status": "open or qualified.",
        "owner": "The user responsible for the lead.",
        "source": "Where the lead came from.",
        "company": "The company the lead works for.",
        "title": "The lead's position there.",
        "country": "Country of the lead, ISO 3166-1 alpha-2.",
        "score": share("How likely a conversion is, as lead_conversion said last, 0 to 1."),
        "scored_at": "When it said so.",
        "bant": points("Budget, authority, need and timeline together, 0 to 20, once qualified."),
        "engagements": count("How often the lead showed interest after it was captured."),
        "last_engaged_at": "When it last did.",
        "captured_at": "When the lead was captured.",
        "age_days": days("Days since then."),
    },
)

lead_journey = report(
    "lead_journey",
    where={"status": str, "owner": UUID, "source": str, "campaign_id": UUID},
    during="captured_at",
    columns={
        "lead_id": "The lead.",
        "source": "Where the lead came from.",
        "campaign_id": "The campaign that brought the lead.",
        "owner": "The user responsible for the lead.",
        "status": "open, qualified, disqualified or converted.",
        "captured_at": "When the lead was captured.",
        "was_engaged": "Whether the lead ever showed interest after it was captured.",
        "was_qualified": "Whether the lead was ever judged worth working.",
        "was_converted": "Whether the lead became a customer.",
        "converted_at": "When it did.",
        "reason": "Why the lead was disqualified.",
        "deal_id": "The deal that the conversion opened or named.",
        "deal_status": "How that deal stands: open, won or lost.",
        "amount": money("What the deal is worth."),
        "currency": "Currency of the amount, ISO 4217.",
    },
)

lead_sources = report(
    "lead_sources",
    where={"source": str},
    columns={
        "source": "Where the leads came from.",
        "captured": count("All leads from there."),
        "in_work": count("Those that are open or qualified."),
        "qualified": count("Those that were ever judged worth working."),
        "disqualified": count("Those that were given up."),
        "converted": count("Those that became customers."),
        "conversion_rate": share("The share of all leads that became customers, 0 to 1."),
        "deals": count("The deals they led to."),
        "deals_won": count("Those of the deals that were won."),
        "deals_lost": count("Those of the deals that were lost."),
    },
)

lead_source_revenue = report(
    "lead_source_revenue",
    where={"source": str, "currency": str},
    columns={
        "source": "Where the leads came from.",
        "currency": "Currency of the amounts, ISO 4217.",
        "deals": count("The deals the leads led to, in this currency."),
        "deals_won": count("Those that were won."),
        "won_amount": money("What they brought."),
        "deals_open": count("Those that are open."),
        "open_amount": money("What they are worth."),
    },
)

lead_funnel = report(
    "lead_funnel",
    where={"source": str},
    during="month",
    columns={
        "month": "First day of the month in which the leads were captured.",
        "source": "Where the leads came from.",
        "captured": count("All leads captured there and then."),
        "engaged": count("Those that ever showed interest after that."),
        "qualified": count("Those that were ever judged worth working."),
        "converted": count("Those that became customers."),
        "disqualified": count("Those that were given up."),
        "in_work": count("Those that are open or qualified."),
        "deals": count("Those that led to a deal."),
        "deals_open": count("Those whose deal is open."),
        "deals_won": count("Those whose deal was won."),
        "deals_lost": count("Those whose deal was lost."),
        "conversion_rate": share("The share of all captured leads that became customers, 0 to 1."),
        "win_rate": share("The share of all captured leads whose deal was won, 0 to 1."),
    },
)

lead_cohorts = report(
    "lead_cohorts",
    during="month",
    columns={
        "month": "First day of the month in which the leads were captured.",
        "months_since": count("Months since then: 0 in the month of capture."),
        "captured": count("All leads captured in the month."),
        "converted": count("Those that had become customers by then."),
        "conversion_rate": share("Their share of all captured, 0 to 1."),
    },
)
