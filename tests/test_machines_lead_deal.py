"""The lives of leads and deals, held against tables written by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis.strategies import builds, integers, just, none, sampled_from

from commands.conversion import ConvertLead, RecordLeadConversion
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
from commands.lead import (
    AssignLead,
    CaptureLead,
    DisqualifyLead,
    EngageLead,
    QualifyLead,
    RecycleLead,
    SetLeadCustomFields,
)
from commands.unconversion import UnconvertLead
from domain.contact import Contact
from domain.custom_fields import custom_fields_id
from domain.customer import Customer
from domain.deal import Deal, DealAmountChanged, DealMove, DealOpened
from domain.lead import Lead, LeadConverted, LeadEngaged, LeadUnconverted
from tests.examples import (
    CONTACT,
    CREATED,
    CUSTOMER,
    DEFINED,
    MET,
    MOSES,
    PIPELINE,
    STAGES,
    VIOLET,
    at_work,
    declared,
)
from tests.given import but, given
from tests.machines import LifeCycle, explore

if TYPE_CHECKING:
    from tests.given import History

OWNERS = sampled_from([MOSES, VIOLET])
CUSTOM = sampled_from([{}, {"visits": 3}, {"visits": 4, "nickname": "Annie"}])
PRICES = sampled_from([Decimal(0), Decimal("12000.00"), Decimal("15000.50")])
REASONS = sampled_from(["New budget year", "New owner"])
KEYS = sampled_from([stage.key for stage in STAGES])


def what_a_lead_leaves_behind(history: History) -> None:
    lead = history.load(Lead, history.id)
    events = history.events[history.id]
    assert lead.engagements == sum(isinstance(event, LeadEngaged) for event in events)
    assert bool(list(lead.holds())) == (lead.status in {"open", "qualified"})
    conversions = [event for event in events if isinstance(event, LeadConverted)]
    taken_back = [event for event in events if isinstance(event, LeadUnconverted)]
    assert len(conversions) - len(taken_back) == (lead.status == "converted")
    # One that was recorded may be of any customer and contact there are.
    for conversion in [lead.conversion] if lead.conversion and lead.conversion.made else []:
        contact = history.load(Contact, conversion.contact_id)
        assert history.load(Customer, conversion.customer_id).status == "active"
        assert contact.customers() == [conversion.customer_id]
        assert contact.person_id == history.id
        if conversion.deal_id:
            assert history.load(Deal, conversion.deal_id).status == "open"


LEAD = LifeCycle(
    of=Lead,
    beginning=given()
    .and_on(custom_fields_id("lead"), *declared("lead"))
    .and_on(PIPELINE, DEFINED)
    .and_on(CUSTOMER, CREATED)
    .and_on(CONTACT, but(MET, email=None))
    .and_on(MOSES, at_work("moses"))
    .and_on(VIOLET, at_work("violet")),
    commands={
        CaptureLead: builds(
            CaptureLead,
            name=just("Ann Example"),
            email=just("ann@acme.example.com"),
            company=sampled_from(["Acme Ltd", None]),
            source=just("website"),
        ),
        AssignLead: builds(AssignLead, owner=OWNERS),
        EngageLead: builds(EngageLead, kind=sampled_from(["call", "reply"])),
        QualifyLead: builds(
            QualifyLead,
            budget=integers(0, 5),
            authority=integers(2, 5),
            need=integers(2, 5),
            timeline=integers(2, 5),
        ),
        DisqualifyLead: builds(DisqualifyLead, reason=sampled_from(["no_need", "spam"])),
        RecycleLead: builds(RecycleLead, reason=REASONS),
        ConvertLead: sampled_from(
            [
                ConvertLead(),
                ConvertLead(create_deal=True, pipeline_id=PIPELINE, currency="EUR"),
            ]
        ),
        RecordLeadConversion: just(RecordLeadConversion(customer_id=CUSTOMER, contact_id=CONTACT)),
        UnconvertLead: builds(UnconvertLead, reason=REASONS),
        SetLeadCustomFields: builds(SetLeadCustomFields, custom=CUSTOM),
    },
    moves={
        "unknown": {CaptureLead: {"open"}},
        "open": {
            AssignLead: {"open"},
            EngageLead: {"open"},
            QualifyLead: {"qualified"},
            DisqualifyLead: {"disqualified"},
            ConvertLead: {"converted"},
            RecordLeadConversion: {"converted"},
            SetLeadCustomFields: {"open"},
        },
        "qualified": {
            AssignLead: {"qualified"},
            EngageLead: {"qualified"},
            DisqualifyLead: {"disqualified"},
            ConvertLead: {"converted"},
            RecordLeadConversion: {"converted"},
            SetLeadCustomFields: {"qualified"},
        },
        "disqualified": {
            AssignLead: {"disqualified"},
            EngageLead: {"disqualified"},
            RecycleLead: {"open"},
            SetLeadCustomFields: {"disqualified"},
        },
        "converted": {
            UnconvertLead: {"open", "qualified"},
            SetLeadCustomFields: {"converted"},
        },
    },
    repeatable={EngageLead},
    invariant=what_a_lead_leaves_behind,
)


def the_books_of_a_deal(history: History) -> None:
    deal = history.load(Deal, history.id)
    events = history.events[history.id]
    opened = next(event for event in events if isinstance(event, DealOpened))
    changes = [event for event in events if isinstance(event, DealAmountChanged)]
    assert deal.amount == opened.amount + sum(e.amount - e.previous_amount for e in changes)
    moves = [event for event in events if isinstance(event, DealMove)]
    path = [opened.stage, *(move.to_stage for move in moves)]
    assert [move.from_stage for move in moves] == path[:-1]
    assert all(before != after for before, after in pairwise(path))
    assert deal.status != "won" or deal.customer_id == CUSTOMER
    here = next(stage for stage in STAGES if stage.key == path[-1])
    assert (deal.stage, deal.status, deal.probability) == (here.key, here.status, here.probability)


DEAL = LifeCycle(
    of=Deal,
    beginning=given()
    .and_on(custom_fields_id("deal"), *declared("deal"))
    .and_on(PIPELINE, DEFINED)
    .and_on(CUSTOMER, CREATED)
    .and_on(MOSES, at_work("moses"))
    .and_on(VIOLET, at_work("violet")),
    commands={
        OpenDeal: builds(
            OpenDeal,
            name=just("Acme: 40 seats"),
            customer_id=none() | just(CUSTOMER),
            pipeline_id=just(PIPELINE),
            stage=none() | KEYS,
            amount=PRICES,
            currency=just("EUR"),
        ),
        LinkDeal: builds(LinkDeal, customer_id=just(CUSTOMER)),
        ChangeDealStage: builds(ChangeDealStage, stage=KEYS),
        ChangeDealAmount: builds(ChangeDealAmount, amount=PRICES, currency=just("EUR")),
        ChangeDealCloseDate: builds(
            ChangeDealCloseDate,
            expected_close=sampled_from([None, date(2026, 6, 30), date(2026, 9, 30)]),
        ),
        AssignDeal: builds(AssignDeal, owner=OWNERS),
        WinDeal: builds(WinDeal, amount=none() | PRICES),
        LoseDeal: builds(
            LoseDeal, reason=sampled_from(["price", "competitor"]), stage=none() | KEYS
        ),
        ReopenDeal: builds(ReopenDeal, stage=none() | KEYS, reason=REASONS),
        SetDealCustomFields: builds(SetDealCustomFields, custom=CUSTOM),
    },
    moves={
        "unknown": {OpenDeal: {"open"}},
        "open": {
            LinkDeal: {"open"},
            ChangeDealStage: {"open"},
            ChangeDealAmount: {"open"},
            ChangeDealCloseDate: {"open"},
            AssignDeal: {"open"},
            WinDeal: {"won"},
            LoseDeal: {"lost"},
            SetDealCustomFields: {"open"},
        },
        "won": {ReopenDeal: {"open"}, SetDealCustomFields: {"won"}},
        "lost": {ReopenDeal: {"open"}, SetDealCustomFields: {"lost"}},
    },
    invariant=the_books_of_a_deal,
)


def test_a_lead_lives_by_the_table():
    explore(LEAD)


def test_a_deal_lives_by_the_table():
    explore(DEAL)
