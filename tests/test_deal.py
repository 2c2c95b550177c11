"""Stories about deals that are opened and go on; tests/test_deal_ends.py tells how they end."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from commands.deal import (
    AssignDeal,
    ChangeDealAmount,
    ChangeDealCloseDate,
    ChangeDealStage,
    LinkDeal,
    OpenDeal,
    ReopenDeal,
    SetDealCustomFields,
    WinDeal,
)
from domain.base import ReferenceUnknown
from domain.custom_fields import custom_fields_id
from domain.customer import CustomerClosed, CustomerNotActive
from domain.deal import (
    DealAlreadyOpened,
    DealAmountChanged,
    DealAssigned,
    DealCloseDateChanged,
    DealCustomFieldsSet,
    DealNotOpen,
    DealUnknown,
)
from domain.pipeline import PipelineNotActive, PipelineRetired, StageNotOpen, StageUnknown
from domain.user import UserInactive
from tests.examples import (
    CONTACT,
    CREATED,
    CUSTOMER,
    DEFINED,
    GONE,
    LEFT,
    MET,
    MOSES,
    OPENED,
    OTHER,
    PIPELINE,
    VIOLET,
    at_work,
    declared,
)
from tests.given import but, given

if TYPE_CHECKING:
    from typing import Any

    from commands.base import Command
from tests.deal_story import LIKELIER, LOSE, LOST, PROPOSED, WON, sold

OPEN = OpenDeal(
    name="Acme: 40 seats",
    customer_id=CUSTOMER,
    pipeline_id=PIPELINE,
    amount="12000.00",
    currency="EUR",
    expected_close=date(2026, 6, 30),
    product="Seats",
)


def test_a_deal_is_opened_once_in_the_first_open_stage():
    sold().when(OPEN).then(OPENED).when(OPEN).nothing()


def test_a_deal_is_opened_in_the_stage_named():
    opened = but(
        OPENED, stage="proposal", probability=Decimal("0.5"), forecast_category="best_case"
    )
    sold().when(OPEN.model_copy(update={"stage": "proposal"})).then(opened).when(OPEN).nothing()


def test_the_same_opening_again_is_nothing_however_far_the_deal_has_come():
    history = sold(OPENED, PROPOSED).and_on(PIPELINE, LIKELIER, PipelineRetired())
    history.when(OPEN).nothing()


@pytest.mark.parametrize(
    "change", [{"name": "Acme: 50 seats"}, {"amount": Decimal(1)}, {"stage": "proposal"}]
)
def test_a_deal_is_not_opened_again_with_other_values(change):
    sold(OPENED).when(OPEN.model_copy(update=change)).refused(DealAlreadyOpened)


def test_a_deal_is_opened_for_a_customer_who_exists():
    given().and_on(PIPELINE, DEFINED).when(OPEN).refused(ReferenceUnknown, field="customer_id")


def test_a_deal_is_not_opened_for_a_customer_to_whom_we_no_longer_sell():
    sold().and_on(CUSTOMER, CustomerClosed(reason="Insolvent")).when(OPEN).refused(
        CustomerNotActive, status="closed"
    )


def test_a_deal_is_not_opened_with_an_unknown_contact():
    talking = OPEN.model_copy(update={"contact_id": CONTACT})
    sold().when(talking).refused(ReferenceUnknown, field="contact_id")
    sold().and_on(CONTACT, MET).when(talking).then(but(OPENED, contact_id=CONTACT))


def test_a_deal_is_not_opened_for_somebody_who_left():
    sold().and_on(GONE, *LEFT).when(OPEN.model_copy(update={"owner": GONE})).refused(
        UserInactive, user_id=GONE
    )


def test_a_deal_needs_a_pipeline():
    given().and_on(CUSTOMER, CREATED).when(OPEN).refused(ReferenceUnknown, field="pipeline_id")


def test_a_retired_pipeline_takes_no_new_deals():
    sold().and_on(PIPELINE, PipelineRetired()).when(OPEN).refused(
        PipelineNotActive, status="retired"
    )


def test_a_deal_is_opened_in_a_stage_of_its_pipeline():
    sold().when(OPEN.model_copy(update={"stage": "elsewhere"})).refused(
        StageUnknown, stage="elsewhere"
    )


def test_a_deal_is_not_opened_as_won():
    sold().when(OPEN.model_copy(update={"stage": "won"})).refused(
        StageNotOpen, stage="won", status="won"
    )


def test_a_deal_is_never_worth_less_than_nothing():
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        ChangeDealAmount(amount="-0.01", currency="EUR")


def test_a_deal_moves_to_a_stage_once():
    propose = ChangeDealStage(stage="proposal")
    sold(OPENED).when(propose).then(PROPOSED).when(propose).nothing()


def test_a_deal_that_stays_keeps_the_probability_of_old():
    sold(OPENED, PROPOSED).and_on(PIPELINE, LIKELIER).when(
        ChangeDealStage(stage="proposal")
    ).nothing()


def test_a_deal_that_moves_takes_the_probability_of_now():
    sold(OPENED).and_on(PIPELINE, LIKELIER).when(ChangeDealStage(stage="proposal")).then(
        but(PROPOSED, probability=Decimal("0.6"), pipeline_revision=2)
    )


def test_a_deal_in_a_retired_pipeline_goes_on():
    sold(OPENED).and_on(PIPELINE, PipelineRetired()).when(ChangeDealStage(stage="proposal")).then(
        PROPOSED
    )


def test_a_deal_does_not_move_to_a_stage_that_is_no_more():
    sold(OPENED, PROPOSED).and_on(PIPELINE, LIKELIER).when(
        ChangeDealStage(stage="negotiation")
    ).refused(StageUnknown, stage="negotiation")


def test_a_deal_is_won_not_moved_there():
    sold(OPENED).when(ChangeDealStage(stage="won")).refused(StageNotOpen, stage="won", status="won")


def test_an_amount_changes_once_and_the_one_before_is_told():
    change = ChangeDealAmount(amount="15000.50", currency="USD")
    sold(OPENED).when(change).then(
        DealAmountChanged(
            amount=Decimal("15000.50"),
            currency="USD",
            previous_amount=Decimal(12000),
            previous_currency="EUR",
        )
    ).when(change).nothing()


def test_a_close_date_changes_once_and_the_one_before_is_told():
    change = ChangeDealCloseDate(expected_close=None)
    sold(OPENED).when(change).then(
        DealCloseDateChanged(expected_close=None, previous_expected_close=date(2026, 6, 30))
    ).when(change).nothing()


def test_a_deal_is_assigned_once():
    world = sold(OPENED).and_on(MOSES, at_work("moses")).and_on(VIOLET, at_work("violet"))
    world.when(AssignDeal(owner=MOSES)).then(DealAssigned(owner=MOSES, previous_owner=None)).when(
        AssignDeal(owner=MOSES)
    ).nothing().when(AssignDeal(owner=VIOLET)).then(
        DealAssigned(owner=VIOLET, previous_owner=MOSES)
    )


def test_a_deal_is_not_assigned_to_somebody_who_left():
    sold(OPENED).and_on(GONE, *LEFT).when(AssignDeal(owner=GONE)).refused(
        UserInactive, user_id=GONE
    )


def test_what_is_true_of_a_closed_deal_may_be_said_again():
    for said in (
        ChangeDealStage(stage="won"),
        ChangeDealAmount(amount="12000", currency="EUR"),
        ChangeDealCloseDate(expected_close=date(2026, 6, 30)),
        LinkDeal(customer_id=CUSTOMER),
    ):
        sold(OPENED, WON).when(said).nothing()


def test_custom_fields_are_set_and_the_others_stay():
    fields = custom_fields_id("deal"), *declared("deal")
    sold(OPENED, WON).and_on(*fields).when(SetDealCustomFields(custom={"visits": 3})).then(
        DealCustomFieldsSet(custom={"visits": 3}, custom_personal={})
    ).when(SetDealCustomFields(custom={"visits": 3})).nothing().when(
        SetDealCustomFields(custom={"nickname": "Elephant"})
    ).then(DealCustomFieldsSet(custom={"visits": 3}, custom_personal={"nickname": "Elephant"}))


CHANGES = [
    LinkDeal(customer_id=OTHER),
    ChangeDealStage(stage="proposal"),
    ChangeDealAmount(amount="1", currency="EUR"),
    ChangeDealCloseDate(expected_close=None),
    AssignDeal(owner=MOSES),
    WinDeal(amount="1"),
    LOSE,
]


@pytest.mark.parametrize(
    "command",
    [*CHANGES, ReopenDeal(reason="Back"), SetDealCustomFields(custom={})],
    ids=lambda command: type(command).__name__,
)
def test_nothing_is_asked_of_a_deal_that_was_never_opened(command: Command[Any]):
    sold().when(command).refused(DealUnknown)


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("end", [WON, but(LOST, reason="price")], ids=["won", "lost"])
def test_only_an_open_deal_changes(command: Command[Any], end):
    world = (
        sold(OPENED, end).and_on(OTHER, but(CREATED, name="Rival")).and_on(MOSES, at_work("moses"))
    )
    world.when(command).refused(DealNotOpen, status=end.to_stage)
