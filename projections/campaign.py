"""What readers see of campaigns, their members and what reached them."""

from domain.campaign import (
    Campaign,
    CampaignCompleted,
    CampaignCostRecorded,
    CampaignMember,
    CampaignMemberAdded,
    CampaignMemberRemoved,
    CampaignMemberRetracted,
    CampaignMemberTouched,
    CampaignPaused,
    CampaignPlanned,
    CampaignResumed,
    CampaignRetracted,
    CampaignScheduled,
    CampaignStarted,
)
from projections.base import Dimension, FactTable, assign, blank, envelope, field, row
from readmodels.units import count, money, ordinal

campaign = Dimension(
    "campaign",
    of=Campaign,
    on={
        CampaignPlanned: assign(
            status="planned",
            name=field,
            channel=field,
            objective=field,
            budget=field,
            currency=field,
            starts_on=field,
            ends_on=field,
        ),
        CampaignScheduled: assign(status="scheduled", start_at=field),
        CampaignStarted: assign(status="running", started_at=envelope.effective_at),
        CampaignPaused: assign(status="paused", pause_reason=field.reason),
        CampaignResumed: assign(status="running"),
        CampaignCompleted: assign(status="completed", completed_at=envelope.effective_at),
        CampaignCostRecorded: assign(cost_total=field),
        CampaignRetracted: blank(status="retracted"),
    },
    description="Campaigns: what we do to be known.",
    columns={
        "status": "planned, scheduled, running, paused or completed.",
        "name": "Name of the campaign.",
        "channel": "email, social, event, ads, content, phone, mail or other.",
        "objective": "What it is to reach.",
        "budget": money("What it may cost, in the currency of the row."),
        "currency": "Currency of budget and costs, ISO 4217.",
        "starts_on": "First day, as planned.",
        "ends_on": "Last day, as planned.",
        "start_at": "When it is to start.",
        "started_at": "When it started.",
        "completed_at": "When it was completed.",
        "pause_reason": "Why it was interrupted last.",
        "cost_total": money("What it cost so far."),
    },
)

campaign_member = Dimension(
    "campaign_member",
    of=CampaignMember,
    on={
        CampaignMemberAdded: assign(
            status="member", campaign_id=field, member_id=field, member_type=field
        ),
        CampaignMemberTouched: assign(touches=field.touch_number, last_touch=field.kind),
        CampaignMemberRemoved: assign(status="removed"),
        CampaignMemberRetracted: blank(status="retracted"),
    },
    description="Leads and contacts that a campaign is meant for.",
    columns={
        "status": "member or removed.",
        "campaign_id": "The campaign.",
        "member_id": "The lead or contact.",
        "member_type": "lead or contact.",
        "touches": count("How often the campaign reached the member, or the member reacted."),
        "last_touch": "What happened last, such as sent or clicked.",
    },
)

touch = FactTable(
    "touch",
    on={
        CampaignMemberTouched: row(
            campaign_id=field,
            member_id=field,
            member_type=field,
            kind=field,
            touch_number=field,
            cost=field,
            currency=field,
        ),
    },
    description="What reached members of a campaign, and how they reacted.",
    columns={
        "campaign_id": "The campaign.",
        "member_id": "The lead or contact.",
        "member_type": "lead or contact.",
        "kind": "sent, opened, clicked, replied, converted, bounced or opted_out.",
        "touch_number": ordinal("1 for the first touch of the member, and so on."),
        "cost": money("What it cost, if it was told."),
        "currency": "Currency of the cost.",
    },
)

campaign_cost = FactTable(
    "campaign_cost",
    on={CampaignCostRecorded: row(cost=field, currency=field, purpose=field)},
    description="What campaigns cost.",
    columns={
        "cost": money("The amount."),
        "currency": "Its currency.",
        "purpose": "What it was for.",
    },
)
