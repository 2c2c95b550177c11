"""Doors to campaigns and their members."""

from api.answers import answer, show
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
from projections.campaign import campaign
from readmodels.query import members, report

router = doors("campaigns")

answer(router, "/performance", report("campaign_performance"))
answer(router, "/attribution", report("campaign_attribution"))
answer(router, "/credits", report("campaign_credits"))
answer(router, "/touches", report("deal_touches"))
answer(router, "/{id}/members", members("campaign_member", "campaign_id"))
show(router, campaign)

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
