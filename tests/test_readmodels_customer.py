"""What is said about customers, beside what the events say."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from domain.activity import Activity, ActivityCompleted, ActivityLogged
from domain.campaign import CampaignMember
from domain.contact import Contact, ContactConsentGranted, ContactLinked, ContactUnlinked
from domain.customer import Customer
from domain.deal import Deal, DealStageChanged, DealWon
from domain.lead import Lead
from domain.score import Score, ScoreRecorded
from domain.ticket import Ticket, TicketRated
from tests.reports import At, Past, cents, check, days, mean, moments, reports, story
from tests.test_readmodels_ticket import SOLVED, times

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

AT = pytest.mark.parametrize("at", moments(), ids=str)


def healths(past: Past, until: datetime) -> dict[UUID, float]:
    """The last health score of each customer by a time."""
    return {
        seen.event.subject_id: seen.event.value
        for told in past.told(Score).values()
        for seen in told
        if isinstance(seen.event, ScoreRecorded)
        and seen.event.learner == "customer_health"
        and seen.effective_at <= until
    }


def roles(past: Past) -> dict[tuple[UUID, UUID], ContactLinked | ContactUnlinked]:
    return {
        (customer_id, contact_id): link
        for contact_id, contact in past.of(Contact).items()
        for customer_id, link in contact.links.items()
    }


@AT
def test_a_profile_says_how_many_there_are_of_each_and_how_the_customer_does(at: At):
    past = Past(story(), at)
    health = healths(past, past.moment)
    expected: dict[UUID, dict[str, Any]] = {
        id: {
            "name": customer.name,
            "status": customer.status,
            "tier": customer.tier,
            "owner": customer.owner,
            "customer_since": past.streams[id][0].effective_at,
            "health": health.get(id),
            **dict.fromkeys(("contacts", "deals_open", "deals_won", "deals_lost", "tickets"), 0),
            "tickets_open": 0,
        }
        for id, customer in past.of(Customer).items()
    }
    for (customer_id, _), link in roles(past).items():
        expected[customer_id]["contacts"] += isinstance(link, ContactLinked)
    for deal in past.of(Deal).values():
        if deal.customer_id:
            expected[deal.customer_id][f"deals_{deal.status}"] += 1
    ratings: dict[UUID, list[int]] = defaultdict(list)
    for id, ticket in past.of(Ticket).items():
        asker = ticket.opened.customer_id if ticket.opened else None
        if asker:
            expected[asker]["tickets"] += 1
            expected[asker]["tickets_open"] += ticket.status not in SOLVED
            rated = past.last(id, TicketRated)
            ratings[asker] += [rated.event.rating] if rated else []
    for customer_id, given in ratings.items():
        expected[customer_id]["mean_rating"] = mean(given)
    rows = reports().ask("customer_profile", at=at)
    check(rows, "customer_id", expected)
    talks: dict[str, list[Any]] = defaultdict(list)
    for row in reports().ask("customer_interactions", at=at):
        talks[row["customer_id"]].append((row["occurred_at"], row["position"], row["kind"]))
    for row in rows:
        last = max(talks[row["customer_id"]], default=(None, None, None))
        assert row["interactions"] == len(talks[row["customer_id"]])
        assert (row["last_interaction_at"], row["last_interaction"]) == (last[0], last[2])


@AT
def test_the_health_board_has_every_active_customer_those_in_danger_first(at: At):
    past = Past(story(), at)
    now = healths(past, past.moment)
    earlier = healths(past, past.moment - timedelta(days=30))
    bands = ((1 / 3, "red"), (2 / 3, "amber"), (2, "green"))
    expected: dict[UUID, dict[str, Any]] = {}
    for id, customer in past.of(Customer).items():
        if customer.status == "active":
            health, before = now.get(id), earlier.get(id)
            change = health - before if health is not None and before is not None else None
            expected[id] = {
                "health": health,
                "band": health and next(band for limit, band in bands if health < limit),
                "health_change": change,
            }
    rows = reports().ask("customer_health_board", at=at)
    check(rows, "customer_id", expected)
    scored = [row["health"] for row in rows if row["health"] is not None]
    assert scored == sorted(scored)
    assert len(scored) > 10
    for row in rows:
        quiet = row["last_interaction_at"] and days(row["last_interaction_at"], past.moment)
        assert row["quiet_days"] == (quiet if quiet is None else pytest.approx(quiet, abs=0.01))


@AT
def test_what_customers_are_worth_is_told_by_currency(at: At):
    past = Past(story(), at)
    expected: dict[Any, dict[str, Any]] = defaultdict(lambda: defaultdict(Decimal))
    for id, deal in past.of(Deal).items():
        if deal.customer_id is None:
            continue
        row = expected[deal.customer_id, deal.currency]
        if deal.status != "lost":
            row[f"deals_{deal.status}"] += 1
            row[f"{deal.status}_amount"] += deal.amount
        if deal.status == "open":
            row["expected"] += deal.amount * deal.probability
        won = past.last(id, DealWon)
        if deal.status == "won" and won:
            row["last_won_at"] = max(row.get("last_won_at") or won.effective_at, won.effective_at)
    for row in expected.values():
        row["expected"] = cents(row["expected"])
    check(reports().ask("customer_revenue", at=at), "customer_id currency", expected)


def people(past: Past, customer_id: UUID) -> dict[UUID, int | None]:
    """Contacts and leads of a customer, and the position until which they are its."""
    found: dict[UUID, int | None] = {}
    for (at_customer, contact_id), link in roles(past).items():
        if at_customer == customer_id:
            left = next(seen for seen in reversed(past.streams[contact_id]) if seen.event == link)
            over = isinstance(link, ContactUnlinked)
            found[contact_id] = left.recorded.position if over else None
    for id, lead in past.of(Lead).items():
        if lead.conversion and lead.conversion.customer_id == customer_id:
            found[id] = None
    return found


def records(past: Past, customer_id: UUID) -> dict[UUID, int | None]:
    """The streams of a customer, and the position until which they are its."""
    known = people(past, customer_id)
    found = {customer_id: None, **known}
    found |= {id: None for id, deal in past.of(Deal).items() if deal.customer_id == customer_id}
    for id, ticket in past.of(Ticket).items():
        if ticket.opened and ticket.opened.customer_id == customer_id:
            found[id] = None
    own = {id for id, until in found.items() if until is None}
    for id, activity in past.of(Activity).items():
        about: Any = activity.recorded
        named = {about.contact_id, about.lead_id, about.deal_id, about.ticket_id}
        if about.customer_id == customer_id or (about.customer_id is None and named & own):
            found[id] = None
    for id in past.told(CampaignMember):
        member_id = past.streams[id][0].event.member_id
        if member_id in known:
            found[id] = known[member_id]
    return found


@cache
def customers() -> list[UUID]:
    """Customers with much to tell: some of the busy weeks, one of the demo."""
    told: dict[str, int] = defaultdict(int)
    for row in reports().ask("customer_interactions", at=At()):
        told[str(row["customer_id"])] += 1
    known = {str(id): id for id in Past(story(), At()).of(Customer)}
    most = sorted((id for id in told if id in known), key=lambda id: (-told[id], id))
    return [known[id] for id in (*most[:3], most[20])]


@AT
def test_the_timeline_has_all_that_happened_in_the_order_in_which_it_happened(at: At):
    past = Past(story(), at)
    for customer_id in customers():
        own = records(past, customer_id)
        expected = sorted(
            (recorded.occurred_at, recorded.position, recorded.event.type)
            for recorded in past.facts
            if recorded.stream_id in own
            and recorded.position <= (own[recorded.stream_id] or recorded.position)
        )
        rows = reports().ask("customer_timeline", str(customer_id), at=at)
        assert [(row["occurred_at"], row["position"], row["type"]) for row in rows] == expected


def test_a_call_written_down_late_stands_where_it_took_place():
    found = 0
    for customer_id in customers():
        rows = reports().ask("customer_timeline", str(customer_id), at=At())
        for row, following in pairwise(rows):
            late = row["recorded_at"] - row["occurred_at"] > timedelta(days=1)
            if row["type"] == ActivityLogged.type and late:
                found += row["position"] > following["position"]
    assert found, "the story has calls that were written down after what followed them"


def test_the_timeline_says_what_an_event_was_about():
    rows = [
        row
        for customer_id in customers()
        for row in reports().ask("customer_timeline", str(customer_id), at=At())
    ]
    by_position = {recorded.position: recorded.event for recorded in story()}
    moves = [row for row in rows if row["type"] == DealStageChanged.type]
    assert moves
    for row in moves:
        event: Any = by_position[row["position"]]
        worth = f"{event.amount:.2f} {event.currency}"
        assert row["detail"] == f"{event.from_stage} → {event.to_stage}, {worth}"
    talks = [row for row in rows if row["type"] in {ActivityLogged.type, ActivityCompleted.type}]
    assert talks
    assert all(row["detail"] for row in talks)


@AT
def test_contacts_deals_tickets_and_scores_are_the_customers_own(at: At):
    past = Past(story(), at)
    all_roles, all_times = roles(past), times(past)
    for customer_id in customers():
        given = str(customer_id)
        people = {}
        for (at_customer, contact_id), link in all_roles.items():
            if at_customer == customer_id:
                consents = past.of(Contact)[contact_id].consents.items()
                granted = {
                    c for (c, _), said in consents if isinstance(said, ContactConsentGranted)
                }
                status = "current" if isinstance(link, ContactLinked) else "ended"
                people[contact_id] = {"role_status": status, "consents": sorted(granted)}
        check(reports().ask("customer_contacts", given, at=at), "contact_id", people)
        deals = {
            id: {"status": deal.status, "amount": deal.amount, "currency": deal.currency}
            for id, deal in past.of(Deal).items()
            if deal.customer_id == customer_id
        }
        check(reports().ask("customer_deals", given, at=at), "deal_id", deals)
        tickets = {
            id: all_times[id]
            for id, ticket in past.of(Ticket).items()
            if ticket.opened and ticket.opened.customer_id == customer_id
        }
        check(reports().ask("customer_tickets", given, at=at), "ticket_id", tickets)
        own = set(records(past, customer_id)) - set(past.of(Contact))
        scores = {
            recorded.position: {"value": recorded.event.value, "learner": recorded.event.learner}
            for recorded in past.happened(ScoreRecorded)
            if recorded.event.subject_id in own
        }
        check(reports().ask("customer_scores", given, at=at), "position", scores)
