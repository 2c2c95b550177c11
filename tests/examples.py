"""The people, companies and pipeline that stories about selling begin with."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from domain.activity import Activity, ActivityLogged
from domain.campaign import Campaign, CampaignPlanned
from domain.contact import Contact, ContactCreated, ContactLinked
from domain.custom_fields import CustomFieldsDeclared
from domain.customer import Customer, CustomerCreated
from domain.deal import Deal, DealOpened
from domain.lead import Lead, LeadCaptured, LeadQualified
from domain.pipeline import Pipeline, PipelineDefined, PipelineStage
from domain.ticket import Ticket, TicketOpened
from domain.user import User, UserDeactivated, UserRegistered

if TYPE_CHECKING:
    from typing import Any

    from commands.base import Command
    from domain.base import Event, State
    from tests.given import History

CUSTOMER = UUID("00000000-0000-4000-8000-0000000000c1")
CONTACT = UUID("00000000-0000-4000-8000-0000000000c2")
PIPELINE = UUID("00000000-0000-4000-8000-0000000000c3")
OTHER = UUID("00000000-0000-4000-8000-0000000000c4")
CAMPAIGN = UUID("00000000-0000-4000-8000-0000000000c5")

MOSES = UUID("00000000-0000-4000-8000-0000000000d1")
VIOLET = UUID("00000000-0000-4000-8000-0000000000d2")
GONE = UUID("00000000-0000-4000-8000-0000000000d3")

LEFT = (
    UserRegistered(
        name="Moses Frase",
        email="moses@sales.example.com",
        handle=None,
        team="Central",
        manager_id=None,
    ),
    UserDeactivated(),
)


def at_work(handle: str) -> UserRegistered:
    """Somebody who works here."""
    return UserRegistered(
        name=handle.capitalize(), email=None, handle=handle, team="West", manager_id=None
    )


def declared(aggregate: str) -> tuple[CustomFieldsDeclared, CustomFieldsDeclared]:
    """Two custom fields of an aggregate: `visits`, a number, and `nickname`, a personal text."""
    visits = CustomFieldsDeclared(
        aggregate=aggregate,
        name="visits",
        field_type="integer",
        unit="visits",
        personal=False,
        description="Visits to the web site.",
    )
    nickname = CustomFieldsDeclared(
        aggregate=aggregate,
        name="nickname",
        field_type="text",
        unit=None,
        personal=True,
        description="What friends say.",
    )
    return visits, nickname


BANT = {"budget": 3, "authority": 4, "need": 5, "timeline": 2}

CAPTURED = LeadCaptured(
    name="Ann Example",
    email="ann@acme.example.com",
    phone=None,
    email_kind="business",
    has_phone=False,
    company="Acme Ltd",
    title="Head of Purchasing",
    country="GB",
    source="website",
    campaign_id=None,
    custom={},
    custom_personal={},
)
QUALIFIED = LeadQualified(**BANT, evidence="Budget approved in March.")

CREATED = CustomerCreated(
    name="Acme Ltd",
    website="acme.example.com",
    tier="standard",
    industry="manufacturing",
    country="GB",
    currency="GBP",
    employees=250,
    annual_revenue=Decimal("31000000.00"),
    parent_id=None,
    owner=None,
    custom={},
    custom_personal={},
)
MET = ContactCreated(
    person_id=CONTACT,
    name="Ann Example",
    email="ann@acme.example.com",
    phone=None,
    email_kind="business",
    has_phone=False,
    title="Head of Purchasing",
    title_level="manager",
    lead_id=None,
    custom={},
    custom_personal={},
)
LINKED = ContactLinked(customer_id=CUSTOMER, role="decision_maker", since=date(2026, 2, 1))


def stage(key: str, probability: str, status: str, forecast_category: str) -> PipelineStage:
    """A stage of a pipeline."""
    return PipelineStage(
        key=key,
        name=key.capitalize(),
        probability=Decimal(probability),
        status=status,
        forecast_category=forecast_category,
    )


STAGES = (
    stage("prospecting", "0.1", "open", "pipeline"),
    stage("proposal", "0.5", "open", "best_case"),
    stage("negotiation", "0.8", "open", "commit"),
    stage("won", "1", "won", "closed"),
    stage("lost", "0", "lost", "omitted"),
    stage("abandoned", "0", "lost", "omitted"),
)
DEFINED = PipelineDefined(name="New business", stages=STAGES, revision=1)

OPENED = DealOpened(
    name="Acme: 40 seats",
    customer_id=CUSTOMER,
    contact_id=None,
    pipeline_id=PIPELINE,
    pipeline_revision=1,
    stage="prospecting",
    probability=Decimal("0.1"),
    forecast_category="pipeline",
    amount=Decimal("12000.00"),
    currency="EUR",
    expected_close=date(2026, 6, 30),
    owner=None,
    product="Seats",
    custom={},
    custom_personal={},
)

ASKED = TicketOpened(
    customer_id=None,
    contact_id=None,
    title="The invoice shows the wrong address",
    body="",
    channel="email",
    priority="normal",
    category=None,
    follow_up_of=None,
    custom={},
    custom_personal={},
)
SPOKEN = ActivityLogged(
    kind="call",
    title=None,
    customer_id=None,
    contact_id=None,
    lead_id=OTHER,
    deal_id=None,
    ticket_id=None,
    owner=MOSES,
    direction="inbound",
    outcome="done",
    duration_minutes=None,
    note="",
)
PLANNED = CampaignPlanned(
    name="Spring webinar",
    channel="event",
    objective="",
    budget=None,
    currency="EUR",
    starts_on=None,
    ends_on=None,
)

RECORDS: dict[type[State[Any]], Event] = {
    Lead: CAPTURED,
    Customer: CREATED,
    Contact: MET,
    Pipeline: DEFINED,
    Deal: OPENED,
    Activity: SPOKEN,
    Ticket: ASKED,
    Campaign: PLANNED,
    User: at_work("otto"),
}
"""How a record of each kind begins."""


def knowing(world: History, command: Command[Any]) -> History:
    """The same world, where all that a command refers to exists, whatever that may reserve."""
    named = {id_: (RECORDS[of],) for _, of, id_ in command.references()}
    return replace(world, events={**world.events, **named})
