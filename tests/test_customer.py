"""Stories about customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from commands.customer import (
    AssignCustomer,
    ChangeCustomerTier,
    CloseCustomer,
    CreateCustomer,
    ReactivateCustomer,
    RenameCustomer,
    SetCustomerCustomFields,
    SetCustomerPreferences,
)
from domain.base import ReferenceUnknown
from domain.custom_fields import custom_fields_id
from domain.customer import (
    CustomerAlreadyCreated,
    CustomerAssigned,
    CustomerClosed,
    CustomerCustomFieldsSet,
    CustomerIdentityTaken,
    CustomerNotActive,
    CustomerNotClosed,
    CustomerPreferencesSet,
    CustomerReactivated,
    CustomerRenamed,
    CustomerTierChanged,
    CustomerUnknown,
)
from domain.user import UserInactive
from tests.examples import CREATED, GONE, LEFT, MOSES, OTHER, VIOLET, at_work, declared
from tests.given import HERE, but, given

if TYPE_CHECKING:
    from typing import Any

    from commands.base import Command

CREATE = CreateCustomer(
    name="Acme Ltd",
    website="acme.example.com",
    industry="manufacturing",
    country="GB",
    currency="GBP",
    employees=250,
    annual_revenue="31000000.00",
)
RENAME = RenameCustomer(name="Acme Group")
CLOSED = CustomerClosed(reason="Insolvent")
CLOSE = CloseCustomer(reason="Insolvent")
BACK = CustomerReactivated(reason="New owner")
REACTIVATE = ReactivateCustomer(reason="New owner")
RIVAL = but(CREATED, name="Rival Inc")


def test_a_customer_is_created_once():
    given().when(CREATE).then(CREATED).when(CREATE).nothing()


def test_a_customer_is_not_created_again_with_other_values():
    given(CREATED).when(CREATE.model_copy(update={"country": "DE"})).refused(CustomerAlreadyCreated)


@pytest.mark.parametrize("spelling", ["Acme Ltd", "ACME limited", "Ácme"])
def test_one_name_is_one_customer_in_whatever_spelling(spelling):
    given().and_on(OTHER, CREATED).when(CREATE.model_copy(update={"name": spelling})).refused(
        CustomerIdentityTaken, customer_id=OTHER
    )


def test_the_name_of_a_closed_customer_is_free():
    given().and_on(OTHER, CREATED, CLOSED).when(CREATE).then(CREATED)


def test_a_customer_may_have_a_parent_that_exists():
    daughter = CREATE.model_copy(update={"parent_id": OTHER})
    given().when(daughter).refused(ReferenceUnknown, field="parent_id", id=OTHER)
    given().and_on(OTHER, RIVAL).when(daughter).then(but(CREATED, parent_id=OTHER))


def test_a_customer_is_not_created_for_somebody_who_left():
    given().and_on(GONE, *LEFT).when(CREATE.model_copy(update={"owner": GONE})).refused(
        UserInactive, user_id=GONE
    )


def test_revenue_without_a_currency_is_no_amount():
    with pytest.raises(ValidationError, match="annual_revenue needs a currency"):
        CreateCustomer(name="Acme Ltd", annual_revenue="1000.00")


def test_a_customer_is_renamed_once():
    given(CREATED).when(RENAME).then(
        CustomerRenamed(name="Acme Group", previous_name="Acme Ltd")
    ).when(RENAME).nothing()


def test_another_spelling_of_ones_own_name_is_free():
    given(CREATED).when(RenameCustomer(name="ACME")).then(
        CustomerRenamed(name="ACME", previous_name="Acme Ltd")
    )


def test_the_name_of_another_customer_is_taken():
    given(CREATED).and_on(OTHER, RIVAL).when(RenameCustomer(name="Rival")).refused(
        CustomerIdentityTaken, customer_id=OTHER
    )


def test_the_old_name_is_free_after_renaming():
    given().and_on(OTHER, CREATED, CustomerRenamed(name="Apex", previous_name="Acme Ltd")).when(
        CREATE
    ).then(CREATED)


def test_a_tier_changes_once():
    change = ChangeCustomerTier(tier="enterprise")
    given(CREATED).when(change).then(
        CustomerTierChanged(tier="enterprise", previous_tier="standard")
    ).when(change).nothing()


def test_a_customer_is_assigned_once():
    world = given(CREATED).and_on(MOSES, at_work("moses")).and_on(VIOLET, at_work("violet"))
    world.when(AssignCustomer(owner=MOSES)).then(
        CustomerAssigned(owner=MOSES, previous_owner=None)
    ).when(AssignCustomer(owner=MOSES)).nothing().when(AssignCustomer(owner=VIOLET)).then(
        CustomerAssigned(owner=VIOLET, previous_owner=MOSES)
    )


def test_a_customer_is_not_assigned_to_somebody_who_left():
    given(CREATED).and_on(GONE, *LEFT).when(AssignCustomer(owner=GONE)).refused(
        UserInactive, user_id=GONE
    )


def test_preferences_are_set_once_and_taken_back():
    speak = SetCustomerPreferences(preferences={"language": "de", "invoice_by": "post"})
    hush = SetCustomerPreferences(preferences={"language": None, "colour": None})
    given(CREATED).when(speak).then(
        CustomerPreferencesSet(preferences={"language": "de", "invoice_by": "post"})
    ).when(speak).nothing().when(hush).then(
        CustomerPreferencesSet(preferences={"invoice_by": "post"})
    ).when(hush).nothing()


def test_a_customer_is_closed_once():
    given(CREATED).when(CLOSE).then(CLOSED).when(CLOSE).nothing()


def test_a_customer_is_not_closed_for_another_reason_afterwards():
    given(CREATED, CLOSED).when(CloseCustomer(reason="Moved away")).refused(
        CustomerNotActive, status="closed"
    )


def test_a_closed_customer_comes_back_once():
    given(CREATED, CLOSED).when(REACTIVATE).then(BACK).when(REACTIVATE).nothing().when(CLOSE).then(
        CLOSED
    )


def test_only_a_closed_customer_comes_back():
    given(CREATED).when(REACTIVATE).refused(CustomerNotClosed, status="active")


def test_a_customer_does_not_come_back_while_another_has_the_name():
    given(CREATED, CLOSED).and_on(OTHER, CREATED).when(REACTIVATE).refused(
        CustomerIdentityTaken, customer_id=OTHER
    )


def test_custom_fields_are_set_and_the_others_stay():
    fields = custom_fields_id("customer"), *declared("customer")
    given(CREATED, CLOSED).and_on(*fields).when(SetCustomerCustomFields(custom={"visits": 3})).then(
        CustomerCustomFieldsSet(custom={"visits": 3}, custom_personal={})
    ).when(SetCustomerCustomFields(custom={"visits": 3})).nothing().when(
        SetCustomerCustomFields(custom={"nickname": "Acky"})
    ).then(CustomerCustomFieldsSet(custom={"visits": 3}, custom_personal={"nickname": "Acky"}))


def test_a_customer_is_not_its_own_parent():
    given().when(CREATE.model_copy(update={"parent_id": HERE})).refused(
        ReferenceUnknown, field="parent_id"
    )


def test_what_is_true_of_a_closed_customer_may_be_said_again():
    for said in (
        RenameCustomer(name="Acme Ltd"),
        ChangeCustomerTier(tier="standard"),
        SetCustomerPreferences(preferences={}),
    ):
        given(CREATED, CLOSED).when(said).nothing()


CHANGES = [
    RENAME,
    ChangeCustomerTier(tier="premium"),
    AssignCustomer(owner=MOSES),
    SetCustomerPreferences(preferences={"language": "de"}),
]


@pytest.mark.parametrize(
    "command",
    [*CHANGES, CLOSE, REACTIVATE, SetCustomerCustomFields(custom={})],
    ids=lambda command: type(command).__name__,
)
def test_nothing_is_asked_of_a_customer_who_was_never_created(command: Command[Any]):
    given().when(command).refused(CustomerUnknown)


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: type(command).__name__)
def test_only_an_active_customer_changes(command: Command[Any]):
    closed = given(CREATED, CLOSED).and_on(MOSES, at_work("moses"))
    closed.when(command).refused(CustomerNotActive, status="closed")
