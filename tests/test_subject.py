"""Stories about people who are forgotten, and about what has to be kept."""

from __future__ import annotations

from uuid import UUID

import pytest

from commands.base import On
from commands.subject import (
    ForgetContact,
    ForgetCustomer,
    ForgetLead,
    ForgetTicket,
    ForgetUser,
    PlaceContactLegalHold,
    PlaceCustomerLegalHold,
    PlaceLeadLegalHold,
    ReleaseContactLegalHold,
    ReleaseCustomerLegalHold,
    ReleaseLeadLegalHold,
)
from domain.activity import ActivityPlanned
from domain.contact import ContactLinked, ContactRetracted
from domain.customer import CustomerRetracted
from domain.lead import LeadConverted, LeadRetracted
from domain.subject import (
    SubjectForgotten,
    SubjectHeld,
    SubjectIsHeld,
    SubjectNotHeld,
    SubjectReleased,
    subject_stream,
)
from domain.ticket import TicketOpened, TicketRetracted
from domain.user import UserRetracted, UserStillActive
from tests.examples import (
    CAPTURED,
    CONTACT,
    CREATED,
    CUSTOMER,
    LEFT,
    LINKED,
    MET,
    MOSES,
    OPENED,
    OTHER,
)
from tests.given import HERE, History, but, given

REASON = "Asked for by e-mail"
CASE = "Case 2026-17"
DEAL, TICKET, CALL = (UUID(int=0xE0 + number) for number in range(3))
ASKED = TicketOpened(
    customer_id=CUSTOMER,
    contact_id=None,
    title="Login fails",
    body="I am ill and cannot log in.",
    channel="email",
    priority="normal",
    category=None,
    follow_up_of=None,
    custom={},
    custom_personal={},
)
CALLED = ActivityPlanned(
    kind="call",
    title="Ask Ann",
    customer_id=None,
    contact_id=None,
    lead_id=None,
    deal_id=None,
    ticket_id=TICKET,
    owner=MOSES,
    due=None,
    priority="normal",
)


def forgotten(*records: UUID, keys: tuple[UUID, ...] = (), of: UUID = HERE) -> On:
    """What is decided when these records are forgotten."""
    return On(
        subject_stream(of),
        SubjectForgotten(
            record_id=of,
            reason=REASON,
            key_ids=tuple(sorted(keys or records)),
            record_ids=tuple(sorted(records)),
        ),
    )


def customer() -> History:
    """A customer with a contact, a deal, a ticket and a call about the ticket."""
    return (
        given(CREATED)
        .and_on(CONTACT, but(MET, person_id=CONTACT), but(LINKED, customer_id=HERE))
        .and_on(DEAL, but(OPENED, customer_id=HERE))
        .and_on(TICKET, but(ASKED, customer_id=HERE))
        .and_on(CALL, CALLED)
    )


def test_with_a_customer_all_is_forgotten_that_is_known_only_through_it():
    customer().when(ForgetCustomer(reason=REASON)).then(
        forgotten(HERE, CONTACT, DEAL, TICKET, CALL)
    ).when(ForgetCustomer(reason="Again")).nothing()


def test_a_contact_who_plays_a_role_elsewhere_stays():
    elsewhere = ContactLinked(customer_id=OTHER, role="user", since=None)
    customer().and_on(OTHER, but(CREATED, name="Other")).and_on(CONTACT, elsewhere).when(
        ForgetCustomer(reason=REASON)
    ).then(forgotten(HERE, DEAL, TICKET, CALL))


def test_with_a_contact_the_lead_is_forgotten_and_the_customer_stays():
    lead = UUID(int=0xE9)
    converted = LeadConverted(
        customer_id=CUSTOMER, contact_id=HERE, deal_id=None, made=(), role=None
    )
    given(but(MET, person_id=lead, lead_id=lead), LINKED).and_on(CUSTOMER, CREATED).and_on(
        lead, CAPTURED, converted
    ).and_on(TICKET, but(ASKED, contact_id=HERE)).when(ForgetContact(reason=REASON)).then(
        forgotten(HERE, lead, TICKET, keys=(lead, TICKET))
    )


def test_with_a_lead_the_contact_is_forgotten_who_it_became():
    converted = LeadConverted(
        customer_id=CUSTOMER, contact_id=CONTACT, deal_id=None, made=(), role=None
    )
    given(CAPTURED, converted).and_on(CUSTOMER, CREATED).and_on(
        CONTACT, but(MET, person_id=HERE, lead_id=HERE), LINKED
    ).when(ForgetLead(reason=REASON)).then(forgotten(HERE, CONTACT, keys=(HERE,)))


@pytest.mark.parametrize(
    ("begun", "retracted", "forget"),
    [
        (CAPTURED, LeadRetracted, ForgetLead),
        (CREATED, CustomerRetracted, ForgetCustomer),
        (MET, ContactRetracted, ForgetContact),
        (but(ASKED, customer_id=OTHER), TicketRetracted, ForgetTicket),
        (LEFT[0], UserRetracted, ForgetUser),
    ],
)
def test_what_was_taken_back_can_be_forgotten(begun, retracted, forget):
    """Its events are still there."""
    taken_back = given(begun, retracted(reason="Typed into the wrong system"))
    taken_back.when(forget(reason=REASON)).then(forgotten(HERE))
    assert given().when(forget(reason=REASON)).refusal


def test_a_contact_that_was_taken_back_is_forgotten_with_its_customer():
    taken_back = ContactRetracted(reason="Twice")
    customer().and_on(CONTACT, taken_back).when(ForgetCustomer(reason=REASON)).then(
        forgotten(HERE, CONTACT, DEAL, TICKET, CALL)
    )


def test_a_ticket_is_forgotten_with_what_was_planned_about_it():
    given(ASKED).and_on(CALL, but(CALLED, ticket_id=HERE)).when(ForgetTicket(reason=REASON)).then(
        forgotten(HERE, CALL)
    )


def test_a_user_is_forgotten_after_leaving():
    given(*LEFT).when(ForgetUser(reason=REASON)).then(forgotten(HERE))
    given(LEFT[0]).when(ForgetUser(reason=REASON)).refused(UserStillActive)


def test_what_a_matter_needs_is_not_forgotten_before_its_release():
    hold = SubjectHeld(record_id=HERE, matter=CASE)
    held = customer().when(PlaceCustomerLegalHold(matter=CASE)).then(On(subject_stream(HERE), hold))
    held.when(PlaceCustomerLegalHold(matter=CASE)).nothing()
    held.when(ForgetCustomer(reason=REASON)).refused(SubjectIsHeld, id=HERE, matter=CASE)
    released = held.when(ReleaseCustomerLegalHold(matter=CASE)).then(
        On(subject_stream(HERE), SubjectReleased(record_id=HERE, matter=CASE))
    )
    released.when(ReleaseCustomerLegalHold(matter=CASE)).refused(SubjectNotHeld, matter=CASE)
    released.when(ForgetCustomer(reason=REASON)).then(forgotten(HERE, CONTACT, DEAL, TICKET, CALL))


@pytest.mark.parametrize(
    ("history", "forget"),
    [
        ((CAPTURED,), ForgetLead(reason=REASON)),
        ((ASKED,), ForgetTicket(reason=REASON)),
        (LEFT, ForgetUser(reason=REASON)),
    ],
)
def test_whatever_is_held_is_not_forgotten(history, forget):
    held = given(*history).and_on(subject_stream(HERE), SubjectHeld(record_id=HERE, matter=CASE))
    held.when(forget).refused(SubjectIsHeld, id=HERE, matter=CASE)


def test_a_contact_of_a_customer_that_is_held_is_not_forgotten():
    given(MET, LINKED).and_on(CUSTOMER, CREATED).and_on(
        subject_stream(CUSTOMER), SubjectHeld(record_id=CUSTOMER, matter=CASE)
    ).when(ForgetContact(reason=REASON)).refused(SubjectIsHeld, id=CUSTOMER, matter=CASE)


def test_a_customer_is_not_forgotten_while_a_contact_is_held():
    customer().and_on(subject_stream(CONTACT), SubjectHeld(record_id=CONTACT, matter=CASE)).when(
        ForgetCustomer(reason=REASON)
    ).refused(SubjectIsHeld, id=CONTACT, matter=CASE)


def test_what_is_about_a_contact_of_a_customer_that_is_held_is_not_forgotten():
    given(but(ASKED, customer_id=None, contact_id=CONTACT)).and_on(CONTACT, MET, LINKED).and_on(
        CUSTOMER, CREATED
    ).and_on(subject_stream(CUSTOMER), SubjectHeld(record_id=CUSTOMER, matter=CASE)).when(
        ForgetTicket(reason=REASON)
    ).refused(SubjectIsHeld, id=CUSTOMER, matter=CASE)


@pytest.mark.parametrize(
    ("known", "place", "release"),
    [
        (CAPTURED, PlaceLeadLegalHold, ReleaseLeadLegalHold),
        (MET, PlaceContactLegalHold, ReleaseContactLegalHold),
    ],
)
def test_a_hold_is_placed_and_released(known, place, release):
    stream = subject_stream(HERE)
    held = (
        given(known)
        .when(place(matter=CASE))
        .then(On(stream, SubjectHeld(record_id=HERE, matter=CASE)))
    )
    held.when(release(matter=CASE)).then(
        On(stream, SubjectReleased(record_id=HERE, matter=CASE))
    ).when(release(matter=CASE)).refused(SubjectNotHeld, matter=CASE)
