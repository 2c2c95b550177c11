"""Doors to deals."""

from api.answers import answer, show
from api.base import accept, doors
from commands.deal import (
    AssignDeal,
    ChangeDealAmount,
    ChangeDealCloseDate,
    ChangeDealStage,
    LinkDeal,
    LoseDeal,
    OpenDeal,
    ReopenDeal,
    RetractDeal,
    SetDealCustomFields,
    WinDeal,
)
from projections.deal import deal
from readmodels.deal import (
    closed_deals,
    deal_forecast,
    loss_reasons,
    pipeline_movements,
    pipeline_waterfall,
    win_loss,
    win_loss_by_product,
)
from readmodels.pipeline import deal_pipeline

router = doors("deals")

answer(router, "/pipeline", deal_pipeline)
answer(router, "/forecast", deal_forecast)
answer(router, "/movements", pipeline_movements)
answer(router, "/waterfall", pipeline_waterfall)
answer(router, "/closed", closed_deals)
answer(router, "/win-loss", win_loss)
answer(router, "/win-loss-by-product", win_loss_by_product)
answer(router, "/loss-reasons", loss_reasons)
show(router, deal)

accept(router, "/{id}/open", OpenDeal)
accept(router, "/{id}/link", LinkDeal)
accept(router, "/{id}/change-stage", ChangeDealStage)
accept(router, "/{id}/change-amount", ChangeDealAmount)
accept(router, "/{id}/change-close-date", ChangeDealCloseDate)
accept(router, "/{id}/assign", AssignDeal)
accept(router, "/{id}/win", WinDeal)
accept(router, "/{id}/lose", LoseDeal)
accept(router, "/{id}/reopen", ReopenDeal)
accept(router, "/{id}/set-custom-fields", SetDealCustomFields)
accept(router, "/{id}/retract", RetractDeal)
