"""What is said about campaigns, beside what the events say."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from domain.campaign import Campaign, CampaignCostRecorded, CampaignMember, CampaignMemberTouched
from domain.contact import Contact
from domain.deal import Deal, DealWon
from domain.lead import Lead, LeadConverted
from tests.reports import At, Past, cents, check, moments, reports, share, story

if TYPE_CHECKING:
    from uuid import UUID

AT = pytest.mark.parametrize("at", moments(), ids=str)
NOT_A_TOUCH = {"bounced", "opted_out"}
MODELS = ("first", "last", "even")


def won_deals(past: Past) -> dict[UUID, Deal]:
    return {id: deal for id, deal in past.of(Deal).items() if deal.status == "won"}


def touches(past: Past) -> list[Any]:
    """Touches in the order in which they happened."""
    found = [
        recorded
        for recorded in past.happened(CampaignMemberTouched)
        if recorded.event.kind not in NOT_A_TOUCH
    ]
    return sorted(found, key=lambda touch: (touch.occurred_at, touch.position))


def ways(past: Past) -> dict[UUID, list[Any]]:
    """The touches of the people behind each won deal, before it was won."""
    leads, contacts, told = past.of(Lead), past.of(Contact), touches(past)
    found = {}
    for id, deal in won_deals(past).items():
        people = {
            lead_id
            for lead_id, lead in leads.items()
            if lead.conversion and lead.conversion.deal_id == id
        }
        contact_id = deal.opened.contact_id if deal.opened else None
        people.add(contact_id)
        if contact_id and contacts[contact_id].created:
            people.add(contacts[contact_id].created.lead_id)
        won = past.last(id, DealWon)
        assert won is not None
        found[id] = [
            touch
            for touch in told
            if touch.event.member_id in people and touch.occurred_at <= won.effective_at
        ]
    return found


@AT
def test_credits_of_every_model_add_up_to_what_was_won(at: At):
    past = Past(story(), at)
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    for deal in won_deals(past).values():
        revenue[deal.currency] += deal.amount
    for model in MODELS:
        credit: dict[str, Decimal] = defaultdict(Decimal)
        for row in reports().ask("campaign_attribution", at=at):
            if row["model"] == model:
                credit[row["currency"]] += row["credit"]
        assert credit == revenue
    by_deal: dict[Any, Decimal] = defaultdict(Decimal)
    for row in reports().ask("campaign_credits", at=at):
        by_deal[row["model"], row["deal_id"]] += row["credit"]
    assert by_deal == {
        (model, str(id)): deal.amount for model in MODELS for id, deal in won_deals(past).items()
    }


@AT
def test_the_first_the_last_or_every_touch_has_the_credit(at: At):
    past = Past(story(), at)
    deals, found = won_deals(past), ways(past)
    expected: dict[Any, dict[str, Any]] = {}
    for id, way in found.items():
        if not way:
            for model in MODELS:
                expected[model, id, None] = {"credit": deals[id].amount, "campaign_id": None}
            continue
        for model, touch in (("first", way[0]), ("last", way[-1])):
            expected[model, id, touch.position] = {
                "credit": deals[id].amount,
                "campaign_id": touch.event.campaign_id,
            }
        for touch in way:
            expected["even", id, touch.position] = {"campaign_id": touch.event.campaign_id}
    rows = reports().ask("campaign_credits", at=at)
    check(rows, "model deal_id position", expected)
    for row in rows:
        if row["model"] == "even":
            way = [touch for id, way in found.items() if str(id) == row["deal_id"] for touch in way]
            [amount] = [deal.amount for id, deal in deals.items() if str(id) == row["deal_id"]]
            assert abs(row["credit"] - amount / max(len(way), 1)) < Decimal("0.01")
    if at == At():
        assert any(len(way) > 2 for way in found.values())
        assert any(not way for way in found.values())


@AT
def test_a_campaign_is_judged_by_whom_it_reached_what_it_cost_and_what_came_of_it(at: At):
    past = Past(story(), at)
    leads, deals = past.of(Lead), won_deals(past)
    cost: dict[UUID, Decimal] = defaultdict(Decimal)
    reached: dict[Any, set[UUID]] = defaultdict(set)
    members: dict[UUID, int] = defaultdict(int)
    converted: dict[UUID, set[UUID]] = defaultdict(set)
    earned: dict[UUID, set[UUID]] = defaultdict(set)
    for spent in past.happened(CampaignCostRecorded):
        cost[spent.stream_id] += spent.event.cost
    for touch in past.happened(CampaignMemberTouched):
        campaign_id, member_id = touch.event.campaign_id, touch.event.member_id
        reached[campaign_id, touch.event.kind].add(member_id)
        cost[campaign_id] += touch.event.cost or 0
        conversion = past.last(member_id, LeadConverted) if member_id in leads else None
        if (
            conversion
            and touch.occurred_at <= conversion.effective_at
            and touch.event.kind not in NOT_A_TOUCH
        ):
            converted[campaign_id].add(member_id)
    for member_id, member in past.of(CampaignMember).items():
        members[past.streams[member_id][0].event.campaign_id] += member.status == "member"
    for id, way in ways(past).items():
        for touch in way:
            earned[touch.event.campaign_id].add(id)
    expected = {}
    for id, campaign in past.of(Campaign).items():
        own = [deals[deal] for deal in earned[id] if deals[deal].currency == campaign.currency]
        revenue = sum((deal.amount for deal in own), Decimal(0))
        leads_won = len(converted[id])
        expected[id] = {
            "status": campaign.status,
            "members": members[id],
            **{
                kind: len(reached[id, kind])
                for kind in ("sent", "opened", "clicked", "replied", "bounced", "opted_out")
            },
            "open_rate": share(len(reached[id, "opened"]), len(reached[id, "sent"])),
            "converted_leads": leads_won,
            "deals_won": len(own),
            "currency": campaign.currency,
            "cost": cost[id],
            "cost_per_converted_lead": cents(cost[id] / leads_won) if leads_won else None,
            "revenue": revenue,
            "roi": float((revenue - cost[id]) / cost[id]) if cost[id] else None,
        }
    check(reports().ask("campaign_performance", at=at), "campaign_id", expected)
