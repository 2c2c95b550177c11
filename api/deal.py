"""Doors to deals."""

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

router = doors("deals")

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
