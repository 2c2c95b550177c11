"""A deal on its way, for stories about deals."""

from __future__ import annotations

from decimal import Decimal

from commands.deal import LoseDeal
from domain.deal import DealLost, DealStageChanged, DealWon
from domain.pipeline import PipelineRevised
from tests.examples import CREATED, CUSTOMER, DEFINED, PIPELINE, STAGES, stage
from tests.given import given

WON_STAGE, LOST_STAGE = STAGES[3:5]
PROPOSED = DealStageChanged(
    from_stage="prospecting",
    to_stage="proposal",
    probability=Decimal("0.5"),
    forecast_category="best_case",
    pipeline_revision=1,
    amount=Decimal("12000.00"),
    currency="EUR",
)
WON = DealWon(
    from_stage="prospecting",
    to_stage="won",
    probability=Decimal(1),
    forecast_category="closed",
    pipeline_revision=1,
    amount=Decimal("12000.00"),
    currency="EUR",
)
LOST = DealLost(
    from_stage="prospecting",
    to_stage="lost",
    probability=Decimal(0),
    forecast_category="omitted",
    pipeline_revision=1,
    amount=Decimal("12000.00"),
    currency="EUR",
    reason="competitor",
    competitor="Rival Inc",
    note="Half our price.",
)
LOSE = LoseDeal(reason="competitor", competitor="Rival Inc", note="Half our price.")
LIKELIER = PipelineRevised(
    name="New business",
    stages=(
        stage("proposal", "0.6", "open", "best_case"),
        WON_STAGE,
        LOST_STAGE,
    ),
    revision=2,
)


def sold(*events):
    """A deal with these events, in a pipeline, of a customer."""
    return given(*events).and_on(PIPELINE, DEFINED).and_on(CUSTOMER, CREATED)
