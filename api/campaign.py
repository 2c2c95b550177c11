"""Doors to campaigns and their members."""

from api.base import accept, doors
from commands.campaign import (
    AddCampaignMember,
    CompleteCampaign,
    PauseCampaign,
    PlanCampaign,
    RecordCampaignCost,
    RecordCampaignTouch,
    RemoveCampaignMember,
    ResumeCampaign,
    ScheduleCampaign,
    StartCampaign,
)

router = doors("campaigns")

accept(router, "/{id}/plan", PlanCampaign)
accept(router, "/{id}/schedule", ScheduleCampaign)
accept(router, "/{id}/start", StartCampaign)
accept(router, "/{id}/pause", PauseCampaign)
accept(router, "/{id}/resume", ResumeCampaign)
accept(router, "/{id}/complete", CompleteCampaign)
accept(router, "/{id}/record-cost", RecordCampaignCost)
accept(router, "/{id}/add-member", AddCampaignMember)
accept(router, "/{id}/remove-member", RemoveCampaignMember)
accept(router, "/{id}/record-touch", RecordCampaignTouch)
