"""What is said about activities and about those who own them, beside what the events say."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from domain.activity import (
    Activity,
    ActivityCompleted,
    ActivityLogged,
    ActivityPlanned,
)
from domain.contact import Contact, ContactLinked
from domain.deal import Deal, DealLost, DealWon
from domain.lead import Lead
from domain.ticket import Ticket
from domain.user import User
from tests.reports import At, Past, cents, check, days, moments, reports, share, story

if TYPE_CHECKING:
    from uuid import UUID

AT = pytest.mark.parametrize("at", moments(), ids=str)
TO_DO = {"planned", "started"}


def kind_of(activity: Activity) -> str:
    assert activity.recorded is not None
    return activity.recorded.kind


@AT
def test_overdue_is_what_should_have_been_done_by_the_moment(at: At):
    past = Past(story(), at)
    expected = {
        id: {
            "kind": kind_of(activity),
            "status": activity.status,
            "owner": activity.owner,
            "due": activity.due,
            "overdue_days": days(activity.due, past.moment),
        }
        for id, activity in past.of(Activity).items()
        if activity.status in TO_DO and activity.due and activity.due < past.moment
    }
    check(reports().ask("overdue_activities", at=at), "activity_id", expected)
    assert expected


@AT
def test_what_everybody_does_is_counted_by_kind(at: At):
    past = Past(story(), at)
    expected: dict[Any, dict[str, Any]] = defaultdict(
        lambda: dict.fromkeys(("to_do", "overdue", "completed", "cancelled", "minutes"), 0)
    )
    for activity in past.of(Activity).values():
        row = expected[activity.owner, kind_of(activity)]
        row["to_do"] += activity.status in TO_DO
        row["overdue"] += bool(
            activity.status in TO_DO and activity.due and activity.due < past.moment
        )
        row["completed"] += activity.status == "completed"
        row["cancelled"] += activity.status == "cancelled"
        match activity.completion or activity.recorded:
            case (
                ActivityCompleted(duration_minutes=int(minutes))
                | ActivityLogged(duration_minutes=int(minutes))
            ):
                row["minutes"] += minutes
    check(reports().ask("activity_summary", at=at), "owner kind", expected)


def oldest_roles(past: Past) -> dict[UUID, UUID]:
    """The customer where each contact plays its oldest current role."""
    found: dict[UUID, UUID] = {}
    for id, told in past.told(Contact).items():
        links = {}
        for seen in told:
            if isinstance(seen.event, ContactLinked):
                links[seen.event.customer_id] = (seen.effective_at, seen.recorded.position)
        current = set(past.of(Contact)[id].customers())
        known = {customer: since for customer, since in links.items() if customer in current}
        if known:
            found[id] = min(known, key=lambda customer: known[customer])
    return found


@AT
def test_an_interaction_is_with_the_customer_it_names_or_leads_to(at: At):
    past = Past(story(), at)
    deals, tickets, leads = past.of(Deal), past.of(Ticket), past.of(Lead)
    roles = oldest_roles(past)

    def whose(about: ActivityPlanned | ActivityLogged) -> UUID | None:
        deal, ticket, lead = (
            about.deal_id and deals.get(about.deal_id),
            about.ticket_id and tickets.get(about.ticket_id),
            about.lead_id and leads.get(about.lead_id),
        )
        return (
            about.customer_id
            or (deal.customer_id if deal else None)
            or (ticket.opened.customer_id if ticket and ticket.opened else None)
            or (lead.conversion.customer_id if lead and lead.conversion else None)
            or (roles.get(about.contact_id) if about.contact_id else None)
        )

    first = {
        recorded.stream_id: recorded.event
        for recorded in story()
        if isinstance(recorded.event, ActivityPlanned | ActivityLogged)
    }
    expected = {
        recorded.position: {
            "customer_id": whose(first[recorded.stream_id]),
            "kind": first[recorded.stream_id].kind,
            "occurred_at": recorded.occurred_at,
        }
        for recorded in past.happened(ActivityLogged, ActivityCompleted)
    }
    check(reports().ask("customer_interactions", at=at), "position", expected)
    assert sum(row["customer_id"] is not None for row in expected.values()) > 50


def closing_owners(past: Past) -> dict[UUID, UUID | None]:
    """Who had each closed deal when it was closed."""
    found = {}
    for id, told in past.told(Deal).items():
        state = Deal()
        for seen in told:
            state = state.evolve(seen.event)
            if isinstance(seen.event, DealWon | DealLost):
                found[id] = state.owner
    return found


@AT
def test_owners_have_in_hand_what_is_theirs_and_credit_for_what_they_closed(at: At):
    past = Past(story(), at)
    counted: dict[UUID | None, Counter[str]] = defaultdict(Counter)
    for lead in past.of(Lead).values():
        over = lead.status in {"converted", "disqualified"}
        counted[lead.owner][f"leads_{lead.status}" if over else "leads_in_work"] += 1
    closed_by = closing_owners(past)
    for id, deal in past.of(Deal).items():
        owner = deal.owner if deal.status == "open" else closed_by[id]
        counted[owner][f"deals_{deal.status}"] += 1
    for activity in past.of(Activity).values():
        row = counted[activity.owner]
        if activity.status != "cancelled":
            done = activity.status == "completed"
            row["activities_done" if done else "activities_to_do"] += 1
            late = activity.due is not None and activity.due < past.moment
            row["activities_overdue"] += not done and late
    for ticket in past.of(Ticket).values():
        solved = ticket.status in {"solved", "closed"}
        counted[ticket.assignee]["tickets_solved" if solved else "tickets_open"] += 1
    users = past.of(User)
    names = "leads_in_work leads_converted leads_disqualified deals_open deals_won deals_lost"
    more = "activities_to_do activities_overdue activities_done tickets_open tickets_solved"
    expected = {
        owner: {
            **{name: row[name] for name in (*names.split(), *more.split())},
            "win_rate": share(row["deals_won"], row["deals_won"] + row["deals_lost"]),
            "team": users[owner].team,
            "handle": users[owner].handle,
        }
        for owner, row in counted.items()
        if owner is not None
    }
    check(reports().ask("owner_performance", at=at), "owner", expected)


@AT
def test_what_owners_sell_is_never_added_up_over_currencies(at: At):
    past = Past(story(), at)
    closed_by = closing_owners(past)
    expected: dict[Any, dict[str, Any]] = defaultdict(lambda: defaultdict(Decimal))
    for id, deal in past.of(Deal).items():
        owner = deal.owner if deal.status == "open" else closed_by[id]
        row = expected[owner, deal.currency]
        row[f"deals_{deal.status}"] += 1
        row[f"{deal.status}_amount"] += deal.amount
        if deal.status == "open":
            row["expected"] += deal.amount * deal.probability
    for row in expected.values():
        row["expected"] = cents(row["expected"])
    rows = reports().ask("owner_sales", at=at)
    check(rows, "owner currency", expected)
    assert len({row["currency"] for row in rows}) > 1
