"""Whose deal it is: known at once, told later, or named when a lead is converted."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import ValidationError

from commands.conversion import ConvertLead
from commands.deal import AssignDeal, ChangeDealAmount, LinkDeal, OpenDeal, WinDeal
from domain.base import ReferenceUnknown
from domain.contact import ContactLinked
from domain.customer import CustomerClosed, CustomerNotActive
from domain.deal import (
    DealLinked,
    DealLost,
    DealNotOpen,
    DealOfAnotherCustomer,
    DealUnknown,
    DealWithoutCustomer,
)
from domain.lead import LeadConverted, LeadDisqualified, LeadNotOpen
from tests.examples import (
    CAPTURED,
    CREATED,
    CUSTOMER,
    DEFINED,
    OPENED,
    OTHER,
    PIPELINE,
    QUALIFIED,
    at_work,
)
from tests.given import but, given, new_id

DEAL = UUID("00000000-0000-4000-8000-0000000000e1")
NOBODYS = OPENED.model_copy(update={"customer_id": None})
LINKED = DealLinked(customer_id=CUSTOMER, previous_customer_id=None)
CLOSED = CustomerClosed(reason="Insolvent")
LOST = DealLost(
    from_stage="prospecting",
    to_stage="lost",
    probability=0,
    forecast_category="omitted",
    pipeline_revision=1,
    amount="12000.00",
    currency="EUR",
    reason="price",
    competitor=None,
    note="",
)


def test_a_deal_may_open_before_it_is_known_whose_it_is():
    wish = {name: getattr(OPENED, name) for name in OpenDeal.model_fields} | {"customer_id": None}
    given().and_on(PIPELINE, DEFINED).when(OpenDeal(**wish)).then(NOBODYS)


def test_a_deal_is_linked_once_its_customer_is_known():
    open_deal = given(NOBODYS).and_on(CUSTOMER, CREATED)
    linked = open_deal.when(LinkDeal(customer_id=CUSTOMER)).then(LINKED)
    linked.when(LinkDeal(customer_id=CUSTOMER)).nothing()


def test_a_deal_is_linked_to_somebody_who_buys():
    wish = LinkDeal(customer_id=OTHER)
    given(NOBODYS).when(wish).refused(ReferenceUnknown, field="customer_id", id=OTHER)
    closed = given(NOBODYS).and_on(OTHER, CREATED, CLOSED)
    closed.when(wish).refused(CustomerNotActive, status="closed")


def test_only_an_open_deal_is_linked():
    given().when(LinkDeal(customer_id=CUSTOMER)).refused(DealUnknown)
    lost = given(NOBODYS, LOST).and_on(CUSTOMER, CREATED)
    lost.when(LinkDeal(customer_id=CUSTOMER)).refused(DealNotOpen, status="lost")


def test_nobody_buys_without_a_name():
    given(NOBODYS).and_on(PIPELINE, DEFINED).when(WinDeal()).refused(DealWithoutCustomer)


def test_what_is_true_of_a_closed_deal_already_is_no_wish_refused():
    lost = given(OPENED, LOST).and_on(OTHER, at_work("otto"))
    lost.when(ChangeDealAmount(amount="12000.00", currency="EUR")).nothing()
    lost.when(LinkDeal(customer_id=CUSTOMER)).nothing()
    lost.when(AssignDeal(owner=OTHER)).refused(DealNotOpen, status="lost")


@pytest.mark.parametrize("judged", [(), (QUALIFIED,)])
def test_a_lead_is_converted_whether_or_not_somebody_judged_it(judged):
    story = given(CAPTURED, *judged).when(ConvertLead())
    assert isinstance(story.events[-1], LeadConverted)
    given(CAPTURED, LeadDisqualified(reason="spam", note="")).when(ConvertLead()).refused(
        LeadNotOpen, status="disqualified"
    )


def test_a_lead_is_converted_to_the_customer_and_the_deal_that_are_named():
    convert = ConvertLead(customer_id=CUSTOMER, deal_id=DEAL)
    story = given(CAPTURED).and_on(CUSTOMER, CREATED).and_on(DEAL, OPENED).when(convert)
    assert ContactLinked(customer_id=CUSTOMER, role="other", since=None) in [
        on.event for on in story.events[:-1]
    ]
    converted = LeadConverted(
        customer_id=CUSTOMER,
        contact_id=new_id("contact"),
        deal_id=DEAL,
        made=(new_id("contact"),),
        role="other",
    )
    assert story.events[-1] == converted
    after = story.then(*story.events)
    after.when(convert).nothing()
    rival = after.and_on(OTHER, but(CREATED, name="Rival"))
    rival.when(ConvertLead(customer_id=OTHER)).refused(LeadNotOpen, status="converted")
    another = after.and_on(OTHER, OPENED)
    another.when(ConvertLead(deal_id=OTHER)).refused(LeadNotOpen, status="converted")


def test_a_lead_is_not_converted_to_what_does_not_fit():
    lead = given(CAPTURED).and_on(CUSTOMER, CREATED)
    to_other, to_deal = ConvertLead(customer_id=OTHER), ConvertLead(deal_id=DEAL)
    lead.when(to_other).refused(ReferenceUnknown, field="customer_id", id=OTHER)
    lead.when(to_deal).refused(ReferenceUnknown, field="deal_id", id=DEAL)
    lead.and_on(DEAL, NOBODYS).when(to_deal).refused(DealOfAnotherCustomer)


def test_a_deal_is_named_or_made_not_both():
    with pytest.raises(ValidationError, match="deal_id names one there is"):
        ConvertLead(deal_id=DEAL, create_deal=True, pipeline_id=PIPELINE, currency="EUR")
