"""Questions about deals: their SQL, and what exactly it says, is in deal.sql."""

from __future__ import annotations

from uuid import UUID

from domain.values import Moment
from readmodels.query import report
from readmodels.units import count, days, money, ordinal, share

CURRENCY = "Currency of the amounts, ISO 4217."

deal_forecast = report(
    "deal_forecast",
    where={"forecast_category": str, "currency": str},
    during="month",
    columns={
        "month": "First day of the month in which the deals are due, or were won.",
        "forecast_category": "pipeline, best_case, commit, closed or omitted.",
        "currency": CURRENCY,
        "deals": count("How many there are."),
        "amount": money("What they are worth."),
        "expected": money("The same, each times its probability."),
        "deals_overdue": count("Open ones that should have been won by the moment."),
    },
)

pipeline_movements = report(
    "pipeline_movements",
    since=Moment | None,
    where={"deal_id": UUID, "movement": str, "currency": str, "owner": UUID, "pipeline_id": UUID},
    columns={
        "deal_id": "The deal.",
        "moved_at": "When it moved.",
        "position": ordinal("Position of the event in the log."),
        "movement": "new, reopened, expanded, contracted, currency_changed, won, lost or pushed.",
        "currency": "Currency of the amounts, ISO 4217.",
        "amount": money("What the movement adds to what is open, or takes from it."),
        "deal_amount": money("What the deal was worth after it."),
        "stage": "The stage after it.",
        "owner": "The user responsible for the deal then.",
        "pipeline_id": "The pipeline.",
        "actor": "The user who caused it.",
    },
)

pipeline_waterfall = report(
    "pipeline_waterfall",
    since=Moment | None,
    where={"currency": str},
    columns={
        "currency": CURRENCY,
        "opening": money("What was open at the beginning."),
        "new": money("Came in with new deals."),
        "reopened": money("Came back with deals that were won or lost before."),
        "expanded": money("Came in with open deals that became worth more."),
        "contracted": money("Went out with open deals that became worth less."),
        "currency_changed": money("Came from another currency, or went to one."),
        "won": money("Went out with deals that were won."),
        "lost": money("Went out with deals that were lost."),
        "retracted": money("Went out with deals that were taken back as never having been."),
        "closing": money("What is open at the end."),
        "residual": money("What the movements leave unexplained: 0."),
        "opening_deals": count("Deals that were open at the beginning."),
        "new_deals": count("How often a new deal came in."),
        "won_deals": count("How often a deal was won."),
        "lost_deals": count("How often a deal was lost."),
        "closing_deals": count("Deals that are open at the end."),
        "pushed_deals": count("Deals that are expected later than before."),
        "pushed": money("What they were worth."),
    },
)

closed_deals = report(
    "closed_deals",
    where={
        "outcome": str,
        "owner": UUID,
        "currency": str,
        "product": str,
        "customer_id": UUID,
        "pipeline_id": UUID,
    },
    during="closed_at",
    columns={
        "deal_id": "The deal.",
        "outcome": "won or lost.",
        "owner": "The user who had it when it was closed.",
        "closed_at": "When it was closed.",
        "quarter": "First day of the quarter of that.",
        "amount": money("What it was worth."),
        "currency": "Currency of the amount, ISO 4217.",
        "product": "What was sold, or not.",
        "reason": "Why it was lost.",
        "competitor": "To whom it was lost.",
        "customer_id": "The customer.",
        "pipeline_id": "The pipeline.",
        "cycle_days": days("Days from opening to closing."),
    },
)

WON_AND_LOST = {
    "currency": CURRENCY,
    "won": count("Deals that were won."),
    "lost": count("Deals that were lost."),
    "win_rate": share("The share of both that was won, 0 to 1."),
    "won_amount": money("What the won ones brought."),
    "lost_amount": money("What the lost ones were worth."),
}

win_loss = report(
    "win_loss",
    where={"owner": UUID, "currency": str},
    during="quarter",
    columns={
        "quarter": "First day of the quarter in which the deals were closed.",
        "owner": "The user who had them when they were closed.",
        **WON_AND_LOST,
        "won_cycle_days": days("Days from opening to winning, on average."),
        "lost_cycle_days": days("Days from opening to losing, on average."),
        "cycle_days": days("Days from opening to closing, on average."),
    },
)

win_loss_by_product = report(
    "win_loss_by_product",
    where={"product": str, "currency": str},
    columns={
        "product": "What was sold, or not.",
        **WON_AND_LOST,
        "cycle_days": days("Days from opening to closing, on average."),
    },
)

loss_reasons = report(
    "loss_reasons",
    where={"reason": str, "competitor": str, "currency": str},
    columns={
        "reason": "Why the deals were lost.",
        "competitor": "To whom, if it was named.",
        "currency": CURRENCY,
        "lost": count("How many were."),
        "lost_amount": money("What they were worth."),
        "share_of_lost": share("Their share of all deals lost in this currency, 0 to 1."),
    },
)
