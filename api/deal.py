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
    SetDealCustomFields,
    WinDeal,
)
from domain.values import Moment
from projections.deal import deal
from readmodels.query import report

router = doors("deals")

answer(router, "/pipeline", report("deal_pipeline"))
answer(router, "/forecast", report("deal_forecast"))
answer(router, "/movements", report("pipeline_movements", since=Moment | None))
answer(router, "/waterfall", report("pipeline_waterfall", since=Moment | None))
answer(router, "/closed", report("closed_deals"))
answer(router, "/win-loss", report("win_loss"))
answer(router, "/win-loss-by-product", report("win_loss_by_product"))
answer(router, "/loss-reasons", report("loss_reasons"))
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
