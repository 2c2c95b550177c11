"""Stories about leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from commands.lead import (
    AssignLead,
    CaptureLead,
    DisqualifyLead,
    EngageLead,
    QualifyLead,
    RecycleLead,
    SetLeadCustomFields,
)
from domain.base import ReferenceUnknown
from domain.custom_fields import CustomFieldMistyped, CustomFieldUnknown, custom_fields_id
from domain.lead import (
    BantTooLow,
    LeadAlreadyCaptured,
    LeadAssigned,
    LeadClosed,
    LeadConverted,
    LeadCustomFieldsSet,
    LeadDisqualified,
    LeadEngaged,
    LeadNotDisqualified,
    LeadNotOpen,
    LeadRecycled,
    LeadUnknown,
)
from domain.user import UserInactive
from eventstore.reservations import AlreadyHeld
from tests.examples import (
    BANT,
    CAPTURED,
    CONTACT,
    CUSTOMER,
    GONE,
    LEFT,
    MOSES,
    OTHER,
    QUALIFIED,
    VIOLET,
    at_work,
    declared,
)
from tests.given import but, given

if TYPE_CHECKING:
    from typing import Any

    from commands.base import Command

CAPTURE = CaptureLead(
    name="Ann Example",
    email="ann@acme.example.com",
    company="Acme Ltd",
    title="Head of Purchasing",
    country="GB",
    source="website",
)
QUALIFY = QualifyLead(**BANT, evidence="Budget approved in March.")
DISQUALIFY = DisqualifyLead(reason="no_budget", note="Asked to come back next year.")
DISQUALIFIED = LeadDisqualified(reason="no_budget", note="Asked to come back next year.")
RECYCLED = LeadRecycled(reason="New budget year", conflicts=())
RECYCLE = RecycleLead(reason="New budget year")
CONVERTED = LeadConverted(
    customer_id=CUSTOMER, contact_id=CONTACT, deal_id=None, made=(), role=None
)
FIELDS = custom_fields_id("lead"), *declared("lead")


def test_a_lead_is_captured_once():
    given().when(CAPTURE).then(CAPTURED).when(CAPTURE).nothing()


def test_the_same_capture_again_is_nothing_even_later():
    given(CAPTURED, QUALIFIED, CONVERTED).when(CAPTURE).nothing()


def test_a_lead_is_not_captured_again_with_other_values():
    given(CAPTURED).when(CAPTURE.model_copy(update={"company": "Rival Inc"})).refused(
        LeadAlreadyCaptured
    )


def test_what_models_may_know_of_a_person_is_decided_at_the_door():
    capture = CaptureLead(
        name="Ann", email="Ann@GMAIL.com", phone="+44 20 7946 0000", source="referral"
    )
    given().when(capture).then(
        but(
            CAPTURED,
            name="Ann",
            email="Ann@gmail.com",
            phone="+44 20 7946 0000",
            email_kind="free",
            has_phone=True,
            company=None,
            title=None,
            country=None,
            source="referral",
        )
    )


def test_two_live_leads_cannot_have_one_address():
    given().and_on(OTHER, but(CAPTURED, email="ANN@acme.example.com")).when(CAPTURE).refused(
        AlreadyHeld, kind="lead.email"
    )


@pytest.mark.parametrize("end", [(DISQUALIFIED,), (QUALIFIED, CONVERTED)])
def test_the_address_of_a_lead_that_is_over_is_free(end):
    given().and_on(OTHER, CAPTURED, *end).when(CAPTURE).then(CAPTURED)


def test_a_lead_is_captured_with_custom_fields():
    capture = CAPTURE.model_copy(update={"custom": {"visits": 3, "nickname": "Annie"}})
    given().and_on(*FIELDS).when(capture).then(
        but(CAPTURED, custom={"visits": 3}, custom_personal={"nickname": "Annie"})
    )


def test_a_lead_is_assigned_once():
    assigned = LeadAssigned(owner=MOSES, previous_owner=None)
    world = given(CAPTURED).and_on(MOSES, at_work("moses")).and_on(VIOLET, at_work("violet"))
    world.when(AssignLead(owner=MOSES)).then(assigned).when(AssignLead(owner=MOSES)).nothing().when(
        AssignLead(owner=VIOLET)
    ).then(LeadAssigned(owner=VIOLET, previous_owner=MOSES))


def test_a_lead_is_not_assigned_to_somebody_nobody_registered():
    given(CAPTURED).when(AssignLead(owner=MOSES)).refused(ReferenceUnknown, field="owner")
    given(CAPTURED).when(AssignLead(owner=MOSES), by=MOSES).then(
        LeadAssigned(owner=MOSES, previous_owner=None)
    )


def test_a_lead_is_not_assigned_to_somebody_who_left():
    given(CAPTURED).and_on(GONE, *LEFT).when(AssignLead(owner=GONE)).refused(
        UserInactive, user_id=GONE
    )


def test_a_converted_lead_keeps_its_owner():
    assigned = LeadAssigned(owner=MOSES, previous_owner=None)
    over = given(CAPTURED, assigned, QUALIFIED, CONVERTED).and_on(VIOLET, at_work("violet"))
    over.when(AssignLead(owner=VIOLET)).refused(LeadClosed, status="converted").when(
        AssignLead(owner=MOSES)
    ).nothing()


def test_every_engagement_counts():
    first = LeadEngaged(kind="call", engagements=1, note="")
    given(CAPTURED).when(EngageLead(kind="call")).then(first).when(EngageLead(kind="call")).then(
        but(first, engagements=2)
    )


def test_a_disqualified_lead_may_still_show_interest():
    given(CAPTURED, DISQUALIFIED).when(EngageLead(kind="reply", note="Call me.")).then(
        LeadEngaged(kind="reply", engagements=1, note="Call me.")
    )


def test_a_converted_lead_is_engaged_as_a_contact():
    given(CAPTURED, QUALIFIED, CONVERTED).when(EngageLead(kind="call")).refused(
        LeadClosed, status="converted"
    )


def test_a_lead_is_qualified_once():
    given(CAPTURED).when(QUALIFY).then(QUALIFIED).when(QUALIFY).nothing()


def test_a_qualified_lead_is_not_judged_again():
    given(CAPTURED, QUALIFIED).when(QualifyLead(**BANT, evidence="Another call.")).refused(
        LeadNotOpen, status="qualified"
    )


def test_bant_below_the_floor_does_not_qualify():
    low = QualifyLead(budget=2, authority=2, need=2, timeline=1)
    given(CAPTURED).when(low).refused(BantTooLow, total=7, floor=8)


def test_a_dimension_at_zero_does_not_qualify():
    given(CAPTURED).when(QualifyLead(**BANT | {"budget": 0})).refused(BantTooLow, total=11)


def test_a_lead_is_disqualified_once():
    given(CAPTURED).when(DISQUALIFY).then(DISQUALIFIED).when(DISQUALIFY).nothing()


def test_a_qualified_lead_may_still_be_given_up():
    given(CAPTURED, QUALIFIED).when(DISQUALIFY).then(DISQUALIFIED)


def test_a_lead_is_not_given_up_for_another_reason_afterwards():
    given(CAPTURED, DISQUALIFIED).when(DisqualifyLead(reason="spam")).refused(
        LeadNotOpen, status="disqualified"
    )


def test_a_disqualified_lead_comes_back_once():
    given(CAPTURED, DISQUALIFIED).when(RECYCLE).then(RECYCLED).when(RECYCLE).nothing()


def test_a_lead_that_came_back_has_to_qualify_anew():
    given(CAPTURED, QUALIFIED, DISQUALIFIED, RECYCLED).when(QUALIFY).then(QUALIFIED)


def test_only_a_disqualified_lead_comes_back():
    given(CAPTURED).when(RECYCLE).refused(LeadNotDisqualified, status="open")


def test_a_lead_does_not_come_back_while_another_has_its_address():
    given(CAPTURED, DISQUALIFIED).and_on(OTHER, CAPTURED).when(RECYCLE).refused(
        AlreadyHeld, kind="lead.email"
    )


def test_custom_fields_are_set_and_the_others_stay():
    history = given(CAPTURED).and_on(*FIELDS)
    history.when(SetLeadCustomFields(custom={"visits": 3})).then(
        LeadCustomFieldsSet(custom={"visits": 3}, custom_personal={})
    ).when(SetLeadCustomFields(custom={"visits": 3})).nothing().when(
        SetLeadCustomFields(custom={"nickname": "Annie"})
    ).then(LeadCustomFieldsSet(custom={"visits": 3}, custom_personal={"nickname": "Annie"}))


def test_only_declared_custom_fields_are_set():
    given(CAPTURED).and_on(*FIELDS).when(SetLeadCustomFields(custom={"shoes": 43})).refused(
        CustomFieldUnknown, name="shoes", aggregate="lead"
    )


def test_a_custom_field_takes_values_of_its_type():
    given(CAPTURED).and_on(*FIELDS).when(SetLeadCustomFields(custom={"visits": "many"})).refused(
        CustomFieldMistyped, name="visits", field_type="integer"
    )


@pytest.mark.parametrize(
    "command",
    [
        AssignLead(owner=MOSES),
        EngageLead(kind="call"),
        QUALIFY,
        DISQUALIFY,
        RECYCLE,
        SetLeadCustomFields(custom={}),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nothing_is_asked_of_a_lead_that_was_never_captured(command: Command[Any]):
    given().when(command).refused(LeadUnknown)
