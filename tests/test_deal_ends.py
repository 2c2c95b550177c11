"""How deals end: won, lost, and taken up again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from commands.deal import ReopenDeal, WinDeal
from domain.deal import DealAmountChanged, DealNotClosed, DealNotOpen, DealReopened
from domain.pipeline import PipelineRetracted, StageNotLost, StageNotOpen, StageUnknown
from tests.deal_story import LIKELIER, LOSE, LOST, WON, sold
from tests.examples import OPENED, PIPELINE
from tests.given import but

REOPENED = DealReopened(
    conflicts=(),
    from_stage="lost",
    to_stage="prospecting",
    probability=Decimal("0.1"),
    forecast_category="pipeline",
    pipeline_revision=1,
    amount=Decimal("12000.00"),
    currency="EUR",
    reason="The rival went bankrupt",
)
REOPEN = ReopenDeal(reason="The rival went bankrupt")


def test_a_deal_is_won_once():
    sold(OPENED).when(WinDeal()).then(WON).when(WinDeal()).nothing().when(
        WinDeal(amount="12000")
    ).nothing()


def test_a_deal_is_won_for_another_amount():
    win = WinDeal(amount="14500.00")
    sold(OPENED).when(win).then(
        DealAmountChanged(
            amount=Decimal(14500),
            currency="EUR",
            previous_amount=Decimal(12000),
            previous_currency="EUR",
        ),
        but(WON, amount=Decimal(14500)),
    ).when(win).nothing()


def test_a_won_deal_is_not_won_for_more():
    sold(OPENED, WON).when(WinDeal(amount="14500.00")).refused(DealNotOpen, status="won")


def test_a_deal_is_lost_once_for_a_reason():
    sold(OPENED).when(LOSE).then(LOST).when(LOSE).nothing().when(
        LOSE.model_copy(update={"stage": "lost"})
    ).nothing()


def test_a_deal_is_lost_in_the_stage_named():
    abandon = LOSE.model_copy(update={"stage": "abandoned"})
    sold(OPENED).when(abandon).then(but(LOST, to_stage="abandoned")).when(abandon).nothing()


@pytest.mark.parametrize(
    "change", [{"reason": "price"}, {"competitor": None}, {"note": ""}, {"stage": "abandoned"}]
)
def test_a_lost_deal_is_not_lost_otherwise(change):
    sold(OPENED, LOST).when(LOSE.model_copy(update=change)).refused(DealNotOpen, status="lost")


def test_a_deal_is_not_lost_in_an_open_stage():
    sold(OPENED).when(LOSE.model_copy(update={"stage": "proposal"})).refused(
        StageNotLost, stage="proposal", status="open"
    )
    sold(OPENED).when(LOSE.model_copy(update={"stage": "dreaming"})).refused(
        StageUnknown, stage="dreaming"
    )


def test_a_lost_deal_is_reopened_once_where_it_was():
    sold(OPENED, LOST).when(REOPEN).then(REOPENED).when(REOPEN).nothing()


def test_a_won_deal_is_reopened_in_the_stage_named():
    reopen = ReopenDeal(stage="negotiation", reason="Withdrawn")
    sold(OPENED, WON).when(reopen).then(
        but(
            REOPENED,
            from_stage="won",
            to_stage="negotiation",
            probability=Decimal("0.8"),
            forecast_category="commit",
            reason="Withdrawn",
        )
    ).when(reopen).nothing()


def test_a_reopened_deal_is_won_and_lost_like_any_other():
    sold(OPENED, LOST, REOPENED).when(LOSE).then(LOST).when(REOPEN).then(REOPENED).when(
        WinDeal()
    ).then(WON)


def test_an_open_deal_is_not_reopened():
    sold(OPENED).when(REOPEN).refused(DealNotClosed, status="open")


@pytest.mark.parametrize("change", [{"reason": "Another"}, {"stage": "proposal"}])
def test_a_reopened_deal_is_not_reopened_otherwise(change):
    sold(OPENED, LOST, REOPENED).when(REOPEN.model_copy(update=change)).refused(
        DealNotClosed, status="open"
    )


def test_a_deal_is_not_reopened_in_a_stage_that_is_no_more():
    sold(OPENED, LOST).and_on(PIPELINE, LIKELIER).when(REOPEN).refused(
        StageUnknown, stage="prospecting"
    )


def test_a_deal_is_not_reopened_as_lost():
    sold(OPENED, WON).when(ReopenDeal(stage="lost", reason="Withdrawn")).refused(
        StageNotOpen, stage="lost", status="lost"
    )


def test_a_deal_whose_pipeline_was_taken_back_has_no_stage_to_be_won_in():
    gone = PipelineRetracted(reason="By mistake")
    sold(OPENED).and_on(PIPELINE, gone).when(WinDeal()).refused(StageUnknown)
