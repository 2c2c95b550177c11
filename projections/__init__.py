"""How tables follow from events, in columns."""

from projections.activity import activity, interaction
from projections.base import Dimension, FactTable
from projections.campaign import campaign, campaign_cost, campaign_member, touch
from projections.clock import clock
from projections.contact import contact, contact_consent, contact_role
from projections.custom_fields import custom_field
from projections.customer import customer, tier_change
from projections.deal import amount_change, close_date_change, deal, deal_closed, stage_change
from projections.import_run import import_run
from projections.lead import engagement, lead, lead_status_change
from projections.merger import merger
from projections.pipeline import pipeline
from projections.retention_rule import retention_rule
from projections.retraction import retraction
from projections.score import score, score_change, score_outcome
from projections.subject import legal_hold, subject
from projections.ticket import (
    ticket,
    ticket_note,
    ticket_rating,
    ticket_reply,
    ticket_status_change,
)
from projections.undo import undo
from projections.user import user

DIMENSIONS: tuple[Dimension, ...] = (
    lead,
    customer,
    contact,
    contact_role,
    contact_consent,
    pipeline,
    deal,
    activity,
    ticket,
    campaign,
    campaign_member,
    user,
    custom_field,
    subject,
    legal_hold,
    retention_rule,
    import_run,
    clock,
    score,
)
"""Every dimension: records, each with its history."""

FACTS: tuple[FactTable, ...] = (
    lead_status_change,
    engagement,
    tier_change,
    stage_change,
    amount_change,
    close_date_change,
    deal_closed,
    interaction,
    ticket_status_change,
    ticket_reply,
    ticket_note,
    ticket_rating,
    campaign_cost,
    touch,
    score_change,
    score_outcome,
    retraction,
    merger,
    undo,
)
"""Every fact table: what happened."""
