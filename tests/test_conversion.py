"""Stories about leads that become customers with contacts and deals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from pydantic import ValidationError

from commands.base import On
from commands.conversion import ConvertLead, RecordLeadConversion
from domain.base import HIDDEN, ReferenceUnknown
from domain.contact import ContactArchived, ContactUnlinked
from domain.customer import CustomerClosed, CustomerNotActive
from domain.deal import DealWon
from domain.lead import (
    LeadAssigned,
    LeadConverted,
    LeadDisqualified,
    LeadHidden,
    LeadNotOpen,
    LeadUnknown,
)
from domain.pipeline import (
    PipelineNotActive,
    PipelineRetired,
    StageNotOpen,
    StageUnknown,
)
from domain.user import UserDeactivated, UserRegistered
from eventstore.reservations import AlreadyHeld
from tests.examples import (
    CAPTURED,
    CONTACT,
    CREATED,
    CUSTOMER,
    DEFINED,
    LINKED,
    MET,
    MOSES,
    OPENED,
    OTHER,
    PIPELINE,
    QUALIFIED,
)
from tests.given import HERE, but, given, new_id

NEW_CUSTOMER, NEW_CONTACT, NEW_DEAL = new_id("customer"), new_id("contact"), new_id("deal")
CONVERT = ConvertLead(role="decision_maker")
SELL = ConvertLead(
    role="decision_maker",
    create_deal=True,
    deal_name="Acme: 40 seats",
    pipeline_id=PIPELINE,
    amount="12000.00",
    currency="EUR",
    expected_close=date(2026, 6, 30),
    product="Seats",
)
ACME = but(
    CREATED,
    website=None,
    industry=None,
    currency=None,
    employees=None,
    annual_revenue=None,
)
ANN = but(MET, person_id=HERE, lead_id=HERE)
DECIDES = but(LINKED, customer_id=NEW_CUSTOMER, since=None)
DEAL = but(OPENED, customer_id=NEW_CUSTOMER, contact_id=NEW_CONTACT)
CONVERTED = LeadConverted(
    customer_id=NEW_CUSTOMER,
    contact_id=NEW_CONTACT,
    deal_id=None,
    made=(NEW_CUSTOMER, NEW_CONTACT),
    role="decision_maker",
)
SOLD = but(CONVERTED, deal_id=NEW_DEAL, made=(NEW_CUSTOMER, NEW_CONTACT, NEW_DEAL))


def test_a_lead_becomes_a_customer_with_a_contact_once():
    given(CAPTURED, QUALIFIED).when(CONVERT).then(
        On(NEW_CUSTOMER, ACME),
        On(NEW_CONTACT, ANN),
        On(NEW_CONTACT, DECIDES),
        CONVERTED,
    ).when(CONVERT).nothing()


def test_a_lead_becomes_a_customer_with_a_contact_and_a_deal_once():
    given(CAPTURED, QUALIFIED).and_on(PIPELINE, DEFINED).when(SELL).then(
        On(NEW_CUSTOMER, but(ACME, currency="EUR")),
        On(NEW_CONTACT, ANN),
        On(NEW_CONTACT, DECIDES),
        On(NEW_DEAL, DEAL),
        SOLD,
    ).when(SELL).nothing()


def test_a_conversion_asked_again_is_nothing_however_far_the_deal_has_come():
    won = DealWon(
        from_stage="prospecting",
        to_stage="won",
        probability=Decimal(1),
        forecast_category="closed",
        pipeline_revision=1,
        amount=Decimal(14500),
        currency="EUR",
    )
    given(CAPTURED, QUALIFIED, SOLD).and_on(NEW_DEAL, DEAL, won).when(SELL).nothing()


def test_the_deal_bears_the_name_of_the_customer_unless_another_is_given():
    sell = SELL.model_copy(update={"deal_name": None, "stage": "proposal"})
    given(CAPTURED, QUALIFIED).and_on(PIPELINE, DEFINED).when(sell).then(
        On(NEW_CUSTOMER, but(ACME, currency="EUR")),
        On(NEW_CONTACT, ANN),
        On(NEW_CONTACT, DECIDES),
        On(
            NEW_DEAL,
            but(
                DEAL,
                name="Acme Ltd",
                stage="proposal",
                probability=Decimal("0.5"),
                forecast_category="best_case",
            ),
        ),
        SOLD,
    ).when(sell).nothing()


def test_who_worked_the_lead_owns_what_comes_of_it():
    assigned = LeadAssigned(owner=MOSES, previous_owner=None)
    given(CAPTURED, assigned, QUALIFIED).and_on(PIPELINE, DEFINED).when(SELL).then(
        On(NEW_CUSTOMER, but(ACME, currency="EUR", owner=MOSES)),
        On(NEW_CONTACT, ANN),
        On(NEW_CONTACT, DECIDES),
        On(NEW_DEAL, but(DEAL, owner=MOSES)),
        SOLD,
    )


def test_what_comes_of_a_lead_whose_owner_has_left_is_nobodys():
    assigned = LeadAssigned(owner=MOSES, previous_owner=None)
    joined = UserRegistered(name="Moses", email=None, handle=None, team="East", manager_id=None)
    given(CAPTURED, assigned, QUALIFIED).and_on(PIPELINE, DEFINED).and_on(
        MOSES, joined, UserDeactivated()
    ).when(SELL).then(
        On(NEW_CUSTOMER, but(ACME, currency="EUR")),
        On(NEW_CONTACT, ANN),
        On(NEW_CONTACT, DECIDES),
        On(NEW_DEAL, DEAL),
        SOLD,
    )


def test_a_lead_that_was_converted_elsewhere_is_what_it_became_there():
    recorded = RecordLeadConversion(
        customer_id=CUSTOMER, contact_id=CONTACT, made=[CONTACT], role="user"
    )
    became = but(CONVERTED, customer_id=CUSTOMER, contact_id=CONTACT, made=(CONTACT,), role="user")
    there = given(CAPTURED).and_on(CUSTOMER, CREATED).and_on(CONTACT, MET, LINKED)
    there.when(recorded).then(became).when(recorded).nothing()
    other = recorded.model_copy(update={"role": "other"})
    there.after(there.when(recorded).events).when(other).refused(LeadNotOpen)
    given(CAPTURED).and_on(CONTACT, MET).when(recorded).refused(ReferenceUnknown)
    given(CAPTURED).and_on(CUSTOMER, CREATED).when(recorded).refused(ReferenceUnknown)
    sold = recorded.model_copy(update={"deal_id": NEW_DEAL})
    there.when(sold).refused(ReferenceUnknown)
    given().when(recorded).refused(LeadUnknown)
    with pytest.raises(ValidationError, match="nothing else"):
        RecordLeadConversion(customer_id=CUSTOMER, contact_id=CONTACT, made=[PIPELINE])


def test_a_customer_of_the_same_name_is_linked():
    given(CAPTURED, QUALIFIED).and_on(CUSTOMER, but(CREATED, name="ACME")).when(CONVERT).then(
        On(NEW_CONTACT, ANN),
        On(NEW_CONTACT, but(DECIDES, customer_id=CUSTOMER)),
        but(CONVERTED, customer_id=CUSTOMER, made=(NEW_CONTACT,)),
    )


def test_a_second_lead_of_a_company_leads_to_the_same_customer():
    first = given(CAPTURED, QUALIFIED).when(CONVERT)
    after = first.then(
        On(NEW_CUSTOMER, ACME), On(NEW_CONTACT, ANN), On(NEW_CONTACT, DECIDES), CONVERTED
    )
    bob = but(CAPTURED, name="Bob", email="bob@acme.example.com", company="ACME Limited")
    given(bob, QUALIFIED).and_on(CUSTOMER, *after.events[NEW_CUSTOMER]).and_on(
        CONTACT, *after.events[NEW_CONTACT]
    ).when(CONVERT).then(
        On(NEW_CONTACT, but(ANN, name="Bob", email="bob@acme.example.com")),
        On(NEW_CONTACT, but(DECIDES, customer_id=CUSTOMER)),
        but(CONVERTED, customer_id=CUSTOMER, made=(NEW_CONTACT,)),
    )


def test_a_closed_customer_is_not_revived_by_a_lead():
    given(CAPTURED, QUALIFIED).and_on(CUSTOMER, CREATED, CustomerClosed(reason="Insolvent")).when(
        CONVERT
    ).then(On(NEW_CUSTOMER, ACME), On(NEW_CONTACT, ANN), On(NEW_CONTACT, DECIDES), CONVERTED)


def test_a_contact_of_the_same_address_is_linked():
    given(CAPTURED, QUALIFIED).and_on(CONTACT, but(MET, email="Ann@acme.example.com")).when(
        CONVERT
    ).then(
        On(NEW_CUSTOMER, ACME),
        On(CONTACT, DECIDES),
        but(CONVERTED, contact_id=CONTACT, made=(NEW_CUSTOMER,)),
    )


def test_a_contact_already_linked_is_not_linked_again():
    given(CAPTURED, QUALIFIED).and_on(CUSTOMER, CREATED).and_on(CONTACT, MET, LINKED).when(
        CONVERT
    ).then(but(CONVERTED, customer_id=CUSTOMER, contact_id=CONTACT, made=(), role=None))


def test_a_contact_who_had_left_the_customer_is_linked_again():
    left = ContactUnlinked(customer_id=CUSTOMER, until=None)
    given(CAPTURED, QUALIFIED).and_on(CUSTOMER, CREATED).and_on(CONTACT, MET, LINKED, left).when(
        CONVERT
    ).then(
        On(CONTACT, but(LINKED, since=None)),
        but(CONVERTED, customer_id=CUSTOMER, contact_id=CONTACT, made=()),
    )


def test_an_archived_contact_is_not_revived_by_a_lead():
    archived = ContactArchived(reason="Left the company")
    given(CAPTURED, QUALIFIED).and_on(CONTACT, MET, archived).when(CONVERT).then(
        On(NEW_CUSTOMER, ACME), On(NEW_CONTACT, ANN), On(NEW_CONTACT, DECIDES), CONVERTED
    )


def test_a_person_without_a_company_becomes_a_customer_without_a_personal_name():
    private = f"Private customer {NEW_CUSTOMER.hex[:12]}"
    given(but(CAPTURED, company=None, email=None), QUALIFIED).when(CONVERT).then(
        On(NEW_CUSTOMER, but(ACME, name=private)),
        On(NEW_CONTACT, but(ANN, email=None, email_kind="none")),
        On(NEW_CONTACT, DECIDES),
        CONVERTED,
    )


def test_a_person_known_from_a_customer_comes_back_to_that_customer():
    given(but(CAPTURED, company=None), QUALIFIED).and_on(CUSTOMER, CREATED).and_on(
        CONTACT, MET, LINKED
    ).when(CONVERT).then(
        but(CONVERTED, customer_id=CUSTOMER, contact_id=CONTACT, made=(), role=None)
    )


def test_the_address_of_a_converted_lead_is_free_for_another_lead():
    given(CAPTURED, QUALIFIED, CONVERTED).and_on(OTHER, CAPTURED)
    with pytest.raises(AlreadyHeld):
        given(CAPTURED, QUALIFIED).and_on(OTHER, CAPTURED)


@pytest.mark.parametrize(
    "otherwise",
    [
        CONVERT,
        SELL.model_copy(update={"amount": Decimal(1)}),
        SELL.model_copy(update={"deal_name": "Acme: 50 seats"}),
        SELL.model_copy(update={"stage": "proposal"}),
    ],
    ids=["no deal", "another amount", "another name", "another stage"],
)
def test_a_lead_is_not_converted_again_otherwise(otherwise):
    sold = given(CAPTURED, QUALIFIED, SOLD).and_on(NEW_DEAL, DEAL).and_on(PIPELINE, DEFINED)
    sold.when(otherwise).refused(LeadNotOpen, status="converted")


def test_a_lead_converted_without_a_deal_gets_none_by_asking_again():
    given(CAPTURED, QUALIFIED, CONVERTED).and_on(PIPELINE, DEFINED).when(SELL).refused(
        LeadNotOpen, status="converted"
    )


def test_only_a_lead_that_is_still_alive_is_converted():
    given().when(CONVERT).refused(LeadUnknown)
    given(CAPTURED, LeadDisqualified(reason="no_need", note="")).when(CONVERT).refused(
        LeadNotOpen, status="disqualified"
    )


def test_a_lead_whose_person_was_forgotten_is_not_converted():
    given(but(CAPTURED, name=HIDDEN, email=HIDDEN, phone=HIDDEN), QUALIFIED).when(CONVERT).refused(
        LeadHidden
    )


def test_the_deal_of_a_conversion_needs_a_pipeline_that_takes_it():
    lead = given(CAPTURED, QUALIFIED)
    lead.when(SELL).refused(ReferenceUnknown, field="pipeline_id", id=PIPELINE)
    lead.and_on(PIPELINE, DEFINED, PipelineRetired()).when(SELL).refused(PipelineNotActive)
    lead.and_on(PIPELINE, DEFINED).when(SELL.model_copy(update={"stage": "won"})).refused(
        StageNotOpen
    )
    lead.and_on(PIPELINE, DEFINED).when(SELL.model_copy(update={"stage": "dreaming"})).refused(
        StageUnknown, stage="dreaming"
    )


def test_a_lead_is_not_converted_for_a_customer_we_no_longer_sell_to():
    closed = given(CAPTURED, QUALIFIED).and_on(
        CUSTOMER, CREATED, CustomerClosed(reason="Insolvent")
    )
    named = CONVERT.model_copy(update={"customer_id": CUSTOMER})
    closed.when(named).refused(CustomerNotActive, status="closed")


@pytest.mark.parametrize("missing", ["pipeline_id", "currency"])
def test_a_deal_is_only_asked_for_with_a_pipeline_and_a_currency(missing):
    fields = SELL.model_dump() | {missing: None}
    with pytest.raises(ValidationError, match="create_deal needs pipeline_id and currency"):
        ConvertLead(**fields)
