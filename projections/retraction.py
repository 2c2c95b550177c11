"""What readers see of records that were taken back."""

from domain.activity import ActivityRetracted
from domain.campaign import CampaignMemberRetracted, CampaignRetracted
from domain.contact import ContactRetracted
from domain.customer import CustomerRetracted
from domain.deal import DealRetracted
from domain.lead import LeadRetracted
from domain.pipeline import PipelineRetracted
from domain.ticket import TicketRetracted
from domain.user import UserRetracted
from projections.base import FactTable, field, row

retraction = FactTable(
    "retraction",
    on={
        LeadRetracted: row(kind="lead", reason=field),
        CustomerRetracted: row(kind="customer", reason=field),
        ContactRetracted: row(kind="contact", reason=field),
        PipelineRetracted: row(kind="pipeline", reason=field),
        DealRetracted: row(kind="deal", reason=field),
        ActivityRetracted: row(kind="activity", reason=field),
        TicketRetracted: row(kind="ticket", reason=field),
        CampaignRetracted: row(kind="campaign", reason=field),
        CampaignMemberRetracted: row(kind="campaign_member", reason=field),
        UserRetracted: row(kind="user", reason=field),
    },
    description="Records that were taken back: from then on they, and the facts of theirs from "
    "before, are in no table but in the histories of records.",
    columns={
        "kind": "lead, customer, contact, pipeline, deal, activity, ticket, campaign, "
        "campaign_member or user.",
        "reason": "Why the record was taken back.",
    },
)
