"""What can happen and what is then true. Pure: no input, no output, no clock."""

from __future__ import annotations

from typing import Any, get_args

from domain.activity import Activity
from domain.base import Event, State
from domain.campaign import Campaign, CampaignMember
from domain.clock import Clock
from domain.contact import Contact
from domain.custom_fields import CustomFields
from domain.customer import Customer
from domain.deal import Deal
from domain.import_run import ImportRun
from domain.lead import Lead
from domain.pipeline import Pipeline
from domain.retention_rule import RetentionRule
from domain.score import Score
from domain.subject import Subject
from domain.ticket import Ticket
from domain.user import User

AGGREGATES: tuple[type[State[Any]], ...] = (
    Lead,
    Customer,
    Contact,
    Pipeline,
    Deal,
    Activity,
    Ticket,
    Campaign,
    CampaignMember,
    User,
    CustomFields,
    Subject,
    RetentionRule,
    ImportRun,
    Clock,
    Score,
)
"""Every aggregate, in the order of the documentation."""


def events_of(aggregate: type[State[Any]]) -> tuple[type[Event], ...]:
    """The events of an aggregate: the union its state is declared over."""
    base = next(base for base in vars(aggregate)["__orig_bases__"] if get_args(base))
    union = get_args(base)[0]
    return get_args(union) or (union,)


EVENTS: dict[str, type[Event]] = {
    event.type: event for aggregate in AGGREGATES for event in events_of(aggregate)
}
"""Every event by the name it is stored under: the log holds no others."""
