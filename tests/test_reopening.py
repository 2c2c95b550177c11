"""Whoever takes something up again is told what is otherwise by now."""

from __future__ import annotations

from typing import Any

import pytest

from commands.deal import ReopenDeal
from commands.lead import RecycleLead
from commands.ticket import HearFromTicketRequester, RateTicket, ReopenTicket, SolveTicket
from domain.contact import ContactArchived
from domain.customer import CustomerClosed, CustomerMerged
from domain.deal import DealLost, DealReopened
from domain.lead import LeadAssigned, LeadDisqualified, LeadRecycled
from domain.pipeline import PipelineRevised
from domain.ticket import TicketAssigned, TicketRated, TicketReopened, TicketSolved, TicketStarted
from domain.undo import Conflict
from tests.examples import (
    ASKED,
    CAPTURED,
    CONTACT,
    CREATED,
    CUSTOMER,
    DEFINED,
    GONE,
    LEFT,
    MET,
    OPENED,
    OTHER,
    PIPELINE,
    STAGES,
)
from tests.given import HERE, Decision, but, given

LOST = DealLost(
    from_stage="prospecting",
    to_stage="lost",
    probability=0,
    forecast_category="omitted",
    pipeline_revision=1,
    amount=OPENED.amount,
    currency="EUR",
    reason="price",
    competitor=None,
    note="",
)
REVISED = PipelineRevised(name="New business", stages=STAGES, revision=2)
MERGED = CustomerMerged(merged_into=OTHER, taken=(), reason="Same")


def told(decision: Decision) -> list[tuple[str, Any, str]]:
    """What stands against it."""
    [last] = [event for event in decision.events if hasattr(event, "conflicts")]
    return [(one.kind, one.id, one.field) for one in last.conflicts]


@pytest.mark.parametrize(
    ("where", "since", "conflict"),
    [
        (CUSTOMER, CustomerClosed(reason="Insolvent"), ("customer", CUSTOMER, "status")),
        (CUSTOMER, MERGED, ("customer", CUSTOMER, "merged_into")),
        (PIPELINE, REVISED, ("pipeline", PIPELINE, "stages")),
        (GONE, LEFT[1], ("user", GONE, "status")),
    ],
    ids=["customer closed", "customer merged", "pipeline revised", "owner left"],
)
def test_a_deal_is_reopened_with_what_changed_since_it_was_closed(where, since, conflict):
    history = (
        given(but(OPENED, owner=GONE), LOST)
        .and_on(PIPELINE, DEFINED)
        .and_on(CUSTOMER, CREATED)
        .and_on(GONE, LEFT[0])
    )
    reopen = ReopenDeal(reason="The rival failed")
    assert told(history.when(reopen)) == []
    assert told(history.and_on(where, since).when(reopen)) == [conflict]
    again = history.and_on(where, since)
    again.after(again.when(reopen).events).when(reopen).nothing()


def test_a_solution_that_was_rated_is_told_when_the_ticket_is_reopened():
    solved = TicketSolved(from_status="open", to_status="solved", resolution="")
    assigned = TicketAssigned(assignee=GONE, previous_assignee=None)
    started = TicketStarted(from_status="new", to_status="open")
    rated = TicketRated(rating=5, body="")
    history = given(ASKED, assigned, started, solved, rated).and_on(GONE, LEFT[0])
    for wish in (
        ReopenTicket(reopen_reason="not_fixed"),
        HearFromTicketRequester(channel="email", body="Still broken"),
    ):
        assert told(history.when(wish)) == [("ticket", HERE, "rating")]
        assert told(history.and_on(GONE, LEFT[1]).when(wish)) == [
            ("ticket", HERE, "rating"),
            ("user", GONE, "status"),
        ]
    after = history.after(history.when(ReopenTicket(reopen_reason="not_fixed")).events)
    once_more = after.after(after.when(SolveTicket()).events)
    once_more.when(RateTicket(rating=5)).then(rated)


def test_a_lead_is_recycled_with_who_has_become_of_the_person_since():
    given_up = LeadDisqualified(reason="no_need", note="")
    owned = LeadAssigned(owner=GONE, previous_owner=None)
    history = given(CAPTURED, owned, given_up).and_on(GONE, *LEFT).and_on(CONTACT, MET)
    recycle = RecycleLead(reason="New year")
    assert told(history.when(recycle)) == [
        ("user", GONE, "status"),
        ("contact", CONTACT, "email"),
    ]
    gone = history.and_on(CONTACT, ContactArchived(reason="Left"))
    assert told(gone.when(recycle)) == [("user", GONE, "status")]


@pytest.mark.parametrize("event", [DealReopened, TicketReopened, LeadRecycled])
def test_what_was_taken_up_before_conflicts_were_told_has_none(event):
    [lift] = event.lifts.values()
    assert lift({"reason": "x"}) == {"reason": "x", "conflicts": []}
    assert Conflict.model_fields.keys() == {"kind", "id", "field"}
