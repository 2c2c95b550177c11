"""Stories about contacts."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from commands.contact import (
    ArchiveContact,
    ChangeContactEmail,
    ChangeContactPhone,
    ChangeContactTitle,
    CreateContact,
    GrantConsent,
    LinkContact,
    RenameContact,
    SetContactCustomFields,
    UnlinkContact,
    WithdrawConsent,
)
from domain.base import HIDDEN, ReferenceUnknown
from domain.contact import (
    ContactAlreadyCreated,
    ContactArchived,
    ContactConsentGranted,
    ContactConsentWithdrawn,
    ContactCustomFieldsSet,
    ContactEmailChanged,
    ContactEmailTaken,
    ContactLinked,
    ContactNotActive,
    ContactNotLinked,
    ContactPhoneChanged,
    ContactRenamed,
    ContactTitleChanged,
    ContactUnknown,
    ContactUnlinked,
    LinkEndsBeforeStart,
)
from domain.custom_fields import custom_fields_id
from tests.examples import (
    CAPTURED,
    CREATED,
    CUSTOMER,
    LINKED,
    MET,
    OTHER,
    QUALIFIED,
    declared,
)
from tests.given import HERE, but, given

if TYPE_CHECKING:
    from typing import Any

    from commands.base import Command

ANN = but(MET, person_id=HERE)
CREATE = CreateContact(name="Ann Example", email="ann@acme.example.com", title="Head of Purchasing")
LINK = LinkContact(customer_id=CUSTOMER, role="decision_maker", since=date(2026, 2, 1))
UNLINK = UnlinkContact(customer_id=CUSTOMER, until=date(2026, 5, 31))
UNLINKED = ContactUnlinked(customer_id=CUSTOMER, until=date(2026, 5, 31))
ARCHIVED = ContactArchived(reason="Left the company")
ARCHIVE = ArchiveContact(reason="Left the company")
GRANT = GrantConsent(channel="email", source="Newsletter form")
GRANTED = ContactConsentGranted(
    channel="email", purpose="any", source="Newsletter form", proof=None
)
WITHDRAW = WithdrawConsent(channel="email", source="Unsubscribe link")
WITHDRAWN = ContactConsentWithdrawn(
    channel="email", purpose="any", source="Unsubscribe link", proof=None
)


def test_a_contact_is_created_once():
    given().when(CREATE).then(ANN).when(CREATE).nothing()


def test_a_contact_is_not_created_again_with_other_values():
    given(ANN).when(CREATE.model_copy(update={"name": "Bob"})).refused(ContactAlreadyCreated)


def test_a_contact_is_created_with_a_role_at_a_customer():
    create = CREATE.model_copy(update={"customer_id": CUSTOMER, "role": "decision_maker"})
    given().and_on(CUSTOMER, CREATED).when(create).then(ANN, but(LINKED, since=None)).when(
        create
    ).nothing()
    given(ANN).and_on(CUSTOMER, CREATED).when(create).refused(ContactAlreadyCreated)


def test_a_contact_has_roles_at_customers_who_exist():
    given().when(CREATE.model_copy(update={"customer_id": CUSTOMER})).refused(
        ReferenceUnknown, field="customer_id", id=CUSTOMER
    )


def test_a_contact_who_was_a_lead_is_the_same_person_under_the_same_key():
    create = CREATE.model_copy(update={"lead_id": OTHER})
    given().and_on(OTHER, CAPTURED, QUALIFIED).when(create).then(
        but(ANN, lead_id=OTHER, person_id=OTHER)
    )
    given().when(create).refused(ReferenceUnknown, field="lead_id", id=OTHER)


def test_what_models_may_know_of_a_person_is_decided_at_the_door():
    create = CreateContact(
        name="Bob", email="bob@gmx.de", phone="+49 30 1234", title="Geschäftsführer"
    )
    given().when(create).then(
        but(
            ANN,
            name="Bob",
            email="bob@gmx.de",
            phone="+49 30 1234",
            email_kind="free",
            has_phone=True,
            title="Geschäftsführer",
            title_level="executive",
        )
    )


def test_one_address_is_one_contact():
    given().and_on(OTHER, MET).when(
        CREATE.model_copy(update={"email": "ANN@acme.example.com"})
    ).refused(ContactEmailTaken, contact_id=OTHER)


def test_the_address_of_an_archived_contact_is_free():
    given().and_on(OTHER, MET, ARCHIVED).when(CREATE).then(ANN)


def test_a_contact_is_renamed_once():
    rename = RenameContact(name="Ann Sample")
    given(ANN).when(rename).then(ContactRenamed(person_id=HERE, name="Ann Sample")).when(
        rename
    ).nothing()


def test_an_address_changes_once():
    change = ChangeContactEmail(email="ann@gmail.com")
    given(ANN).when(change).then(
        ContactEmailChanged(person_id=HERE, email="ann@gmail.com", email_kind="free")
    ).when(change).nothing().when(ChangeContactEmail(email=None)).then(
        ContactEmailChanged(person_id=HERE, email=None, email_kind="none")
    )


def test_the_address_of_another_contact_is_taken():
    given(but(ANN, email=None)).and_on(OTHER, MET).when(
        ChangeContactEmail(email="ann@acme.example.com")
    ).refused(ContactEmailTaken, contact_id=OTHER)


def test_a_telephone_number_changes_once():
    change = ChangeContactPhone(phone="+44 20 7946 0000")
    given(ANN).when(change).then(
        ContactPhoneChanged(person_id=HERE, phone="+44 20 7946 0000", has_phone=True)
    ).when(change).nothing().when(ChangeContactPhone(phone=None)).then(
        ContactPhoneChanged(person_id=HERE, phone=None, has_phone=False)
    )


def test_a_title_changes_once():
    change = ChangeContactTitle(title="Chief Operating Officer")
    given(ANN).when(change).then(
        ContactTitleChanged(title="Chief Operating Officer", title_level="executive")
    ).when(change).nothing().when(ChangeContactTitle(title=None)).then(
        ContactTitleChanged(title=None, title_level="other")
    )


def test_a_contact_plays_a_role_at_a_customer():
    given(ANN).and_on(CUSTOMER, CREATED).when(LINK).then(LINKED).when(LINK).nothing()


def test_a_contact_changes_roles_and_works_for_several_customers():
    evaluator = ContactLinked(customer_id=CUSTOMER, role="evaluator", since=None)
    other = but(evaluator, customer_id=OTHER)
    given(ANN, LINKED).and_on(CUSTOMER, CREATED).and_on(OTHER, but(CREATED, name="Rival")).when(
        LinkContact(customer_id=CUSTOMER, role="evaluator")
    ).then(evaluator).when(LinkContact(customer_id=OTHER, role="evaluator")).then(other)


def test_a_contact_is_linked_to_customers_who_exist():
    given(ANN).when(LINK).refused(ReferenceUnknown, field="customer_id", id=CUSTOMER)


def test_a_role_ends_once_and_may_begin_again():
    given(ANN, LINKED).and_on(CUSTOMER, CREATED).when(UNLINK).then(UNLINKED).when(
        UNLINK
    ).nothing().when(LINK).then(LINKED)


def test_only_a_role_that_is_played_ends():
    given(ANN).when(UNLINK).refused(ContactNotLinked)
    given(ANN, LINKED, UNLINKED).when(UnlinkContact(customer_id=CUSTOMER)).refused(ContactNotLinked)


def test_a_role_does_not_end_before_it_began():
    given(ANN, LINKED).when(UnlinkContact(customer_id=CUSTOMER, until=date(2026, 1, 31))).refused(
        LinkEndsBeforeStart, since=date(2026, 2, 1), until=date(2026, 1, 31)
    )


def test_consent_is_granted_and_withdrawn_per_channel():
    given(ANN).when(GRANT).then(GRANTED).when(GRANT).nothing().when(WITHDRAW).then(WITHDRAWN).when(
        WITHDRAW
    ).nothing().when(GRANT).then(GRANTED).when(GRANT.model_copy(update={"channel": "phone"})).then(
        but(GRANTED, channel="phone")
    )


def test_consent_said_anew_elsewhere_is_recorded_anew():
    given(ANN, GRANTED).when(GrantConsent(channel="email", source="Call")).then(
        but(GRANTED, source="Call")
    )


def test_who_never_consented_may_still_object():
    given(ANN).when(WITHDRAW).then(WITHDRAWN)


def test_an_archived_contact_may_still_object():
    given(ANN, GRANTED, ARCHIVED).when(WITHDRAW).then(WITHDRAWN)


def test_a_contact_is_archived_once():
    given(ANN).when(ARCHIVE).then(ARCHIVED).when(ARCHIVE).nothing()


def test_custom_fields_are_set_and_the_others_stay():
    fields = custom_fields_id("contact"), *declared("contact")
    visits = ContactCustomFieldsSet(person_id=HERE, custom={"visits": 3}, custom_personal={})
    given(ANN).and_on(*fields).when(SetContactCustomFields(custom={"visits": 3})).then(visits).when(
        SetContactCustomFields(custom={"visits": 3})
    ).nothing().when(SetContactCustomFields(custom={"nickname": "Annie"})).then(
        but(visits, custom_personal={"nickname": "Annie"})
    )


def test_a_forgotten_person_can_still_be_dealt_with():
    forgotten = but(ANN, name=HIDDEN, email=HIDDEN, phone=HIDDEN, custom_personal=HIDDEN)
    fields = custom_fields_id("contact"), *declared("contact")
    given(forgotten).and_on(*fields).when(SetContactCustomFields(custom={"visits": 3})).then(
        ContactCustomFieldsSet(person_id=HERE, custom={"visits": 3}, custom_personal={})
    ).when(WITHDRAW).then(WITHDRAWN).when(ARCHIVE).then(ARCHIVED)


def test_what_is_true_of_an_archived_contact_may_be_said_again():
    for said in (RenameContact(name="Ann Example"), ChangeContactPhone(phone=None), LINK, GRANT):
        given(ANN, LINKED, GRANTED, ARCHIVED).when(said).nothing()
    given(ANN, UNLINKED, ARCHIVED).when(UNLINK).nothing()


CHANGES = [
    RenameContact(name="Ann Sample"),
    ChangeContactEmail(email=None),
    ChangeContactPhone(phone="+44 20 7946 0000"),
    ChangeContactTitle(title=None),
    LINK,
    UNLINK,
    GRANT,
    ArchiveContact(reason="Retired"),
]


@pytest.mark.parametrize(
    "command",
    [*CHANGES, WITHDRAW, SetContactCustomFields(custom={})],
    ids=lambda command: type(command).__name__,
)
def test_nothing_is_asked_of_a_contact_that_was_never_created(command: Command[Any]):
    given().when(command).refused(ContactUnknown)


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: type(command).__name__)
def test_only_an_active_contact_changes(command: Command[Any]):
    archived = given(ANN, ARCHIVED).and_on(CUSTOMER, CREATED)
    archived.when(command).refused(ContactNotActive, status="archived")
