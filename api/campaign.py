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
    RetractCampaign,
    RetractCampaignMember,
    ScheduleCampaign,
    StartCampaign,
)
from projections.campaign import campaign
from readmodels.campaign import (
    campaign_attribution,
    campaign_credits,
    campaign_performance,
    deal_touches,
)
from readmodels.query import members

router = doors("campaigns")

answer(router, "/performance", campaign_performance)
answer(router, "/attribution", campaign_attribution)
answer(router, "/credits", campaign_credits)
answer(router, "/touches", deal_touches)
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
accept(router, "/{id}/retract", RetractCampaign)
accept(router, "/{id}/retract-member", RetractCampaignMember)
