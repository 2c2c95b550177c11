"""What happens to a lead, the deal it may become, and the customer's tickets."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from cli.demo.company import PIPELINE, agent, person, seller
from cli.demo.steps import Step, after, dice, made, step
from commands.activity import CompleteActivity, LogActivity, PlanActivity
from commands.conversion import ConvertLead
from commands.customer import ChangeCustomerTier
from commands.deal import (
    ChangeDealAmount,
    ChangeDealCloseDate,
    ChangeDealStage,
    LoseDeal,
    OpenDeal,
    ReopenDeal,
    WinDeal,
)
from commands.lead import (
    AssignLead,
    CaptureLead,
    DisqualifyLead,
    EngageLead,
    QualifyLead,
    RecycleLead,
)
from commands.ticket import (
    AssignTicket,
    CloseTicket,
    HearFromTicketRequester,
    OpenTicket,
    PutTicketOnHold,
    PutTicketPending,
    RateTicket,
    ReplyToTicket,
    ResumeTicket,
    SolveTicket,
)
from domain.customer import Tier
from domain.deal import LossReason
from domain.lead import DisqualifyReason, EngagementKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORDS = "Amber Beacon Copper Delta Ember Falcon Granite Harbor Indigo Jasper Krypton Lumen".split()
TRADES = "Foods Freight Tools Textiles Clinics Energy Media Motors Optics Paper".split()
SOURCES = {"website": 0.2, "referral": 1.3, "event": 0.4, "advert": -0.6, "cold call": -1.1}
COUNTRIES = ("DE", "FR", "GB", "IT", "ES", "NL", "US")
TITLES = ("Managing Director", "Head of Operations", "Buyer", "Assistant", None)
REASONS: tuple[DisqualifyReason, ...] = (
    "no_budget",
    "no_need",
    "bad_timing",
    "unreachable",
    "competitor",
)
LOST: tuple[LossReason, ...] = ("price", "competitor", "no_budget", "no_decision")
INTEREST: tuple[EngagementKind, ...] = (
    "email_opened",
    "email_clicked",
    "page_visited",
    "form_submitted",
)
TIERS: tuple[Tier, ...] = ("premium", "enterprise")
PROBLEMS = ("login", "invoice", "delivery", "export", "performance")


def lead_story(number: int, captured: datetime, campaigns: Sequence[UUID]) -> Iterator[Step]:
    """From the first contact, perhaps by one of the campaigns, to a conversion or to giving up."""
    chance = dice("lead", number)
    lead, owner = made("lead", number), seller(number)
    command, promise = _capture(number, campaigns, chance)
    yield step(captured, lead, command, owner)
    at = after(captured, 0.2, chance)
    yield step(at, lead, AssignLead(owner=owner), owner)
    for _ in range(min(6, int(chance.expovariate(0.8) + max(0.0, promise)))):
        at = after(at, chance.expovariate(0.25), chance)
        kind = chance.choice(INTEREST)
        yield step(at, lead, EngageLead(kind=kind), owner)
        promise += 0.25
    at = after(at, chance.uniform(2, 20), chance)
    if chance.random() < 1 / (1 + math.exp(1.1 - promise)):
        yield from _won_over(number, lead, at, chance)
        return
    reason = chance.choice(REASONS)
    yield step(at, lead, DisqualifyLead(reason=reason), owner)
    if reason == "bad_timing" and chance.random() < 0.3:
        at = after(at, chance.uniform(60, 150), chance)
        yield step(at, lead, RecycleLead(reason="The timing may be better now"), owner)
        yield from _won_over(number, lead, after(at, 10, chance), chance)


def _capture(number: int, campaigns: Sequence[UUID], chance: Random) -> tuple[CaptureLead, float]:
    """A lead, and what its looks are worth in log-odds: something for a model to find."""
    company = f"{chance.choice(WORDS)} {chance.choice(TRADES)} {number // 2}"
    name = person(1_000 + number)
    source = chance.choice(list(SOURCES))
    business = chance.random() < 0.7
    domain = f"{company.lower().replace(' ', '-')}.example" if business else "gmail.com"
    pages = int(chance.expovariate(0.2))
    title = chance.choice(TITLES)
    advertised = campaigns[number % len(campaigns)] if campaigns else None
    command = CaptureLead(
        name=name,
        email=f"{name.lower().replace(' ', '.')}.{number}@{domain}",
        phone=f"+49 30 {5_000_000 + number}" if chance.random() < 0.5 else None,
        company=company if business else None,
        title=title,
        country=chance.choice(COUNTRIES),
        source=source,
        campaign_id=advertised if source == "advert" else None,
        custom={"pages_viewed": pages, "newsletter": chance.random() < 0.3},
    )
    promise = SOURCES[source] + 0.12 * min(pages, 12) + (0.5 if business else -0.9)
    return command, promise + (0.5 if title in TITLES[:2] else -0.2) - 1.0


def _won_over(number: int, lead: UUID, at: datetime, chance: Random) -> Iterator[Step]:
    owner = seller(number)
    bant = {key: chance.randint(2, 5) for key in ("budget", "authority", "need", "timeline")}
    qualify = QualifyLead(**bant, evidence="Told us so in the first meeting.")
    yield step(at, lead, qualify, owner)
    at = after(at, chance.uniform(1, 8), chance)
    amount = Decimal(chance.randrange(2_000, 60_000, 500))
    close = (at + timedelta(days=60)).date()
    convert = ConvertLead(
        role="decision_maker",
        create_deal=True,
        pipeline_id=PIPELINE,
        amount=amount,
        currency="EUR",
        expected_close=close,
    )
    asked = made("convert", number)
    yield step(at, lead, convert, owner, command_id=asked)
    yield from deal_story(number, uuid5(asked, "deal"), at, amount, close, chance)
    if number % 2 == 0:  # the first lead of a company makes the customer
        yield from customer_story(number, uuid5(asked, "customer"), at, chance)


def deal_story(
    number: int, deal: UUID, at: datetime, amount: Decimal, close: date, chance: Random
) -> Iterator[Step]:
    """A deal through its stages, with calls, second thoughts and an end."""
    owner = seller(number)
    for stage in ("discovery", "proposal", "negotiation"):
        yield from _talk(deal, at, owner, chance)
        at = after(at, chance.gammavariate(2, 8), chance)
        if chance.random() < 0.12:
            break
        yield step(at, deal, ChangeDealStage(stage=stage), owner)
        if chance.random() < 0.3:
            before, factor = amount, Decimal(chance.randint(80, 130)) / 100
            amount = (amount * factor).quantize(Decimal(1))
            at = after(at, 1, chance)
            if amount != before:
                yield step(at, deal, ChangeDealAmount(amount=amount, currency="EUR"), owner)
        if chance.random() < 0.35:
            at = after(at, 2, chance)
            before_pushed, close = close, (at + timedelta(days=chance.randint(20, 90))).date()
            if close != before_pushed:
                yield step(at, deal, ChangeDealCloseDate(expected_close=close), owner)
    else:
        at = after(at, chance.gammavariate(2, 7), chance)
        if chance.random() < 0.62:
            yield step(at, deal, WinDeal(), owner)
            return
    at = after(at, 3, chance)
    yield step(at, deal, LoseDeal(reason=chance.choice(LOST)), owner)
    if chance.random() < 0.08:
        at = after(at, 30, chance)
        reopened = ReopenDeal(stage="proposal", reason="They came back to us")
        yield step(at, deal, reopened, owner)
        yield step(after(at, 20, chance), deal, WinDeal(), owner)


def _talk(deal: UUID, at: datetime, owner: UUID, chance: Random) -> Iterator[Step]:
    """A call or a meeting; one in five is written down only days later."""
    call = after(at, chance.uniform(0.5, 6), chance)
    late = timedelta(days=chance.randint(2, 9)) if chance.random() < 0.2 else timedelta(0)
    activity = made("activity", deal, call.isoformat())
    if chance.random() < 0.75:
        log = LogActivity(
            kind=chance.choice(("call", "meeting")),
            title="Spoke about the offer",
            deal_id=deal,
            owner=owner,
            direction="outbound",
            outcome="reached",
            duration_minutes=chance.randint(5, 60),
        )
        yield step(call, activity, log, owner, late=late)
        return
    plan = PlanActivity(
        kind="task",
        title="Send the revised offer",
        deal_id=deal,
        owner=owner,
        due=call + timedelta(days=2),
    )
    yield step(call, activity, plan, owner)
    yield step(after(call, 1, chance), activity, CompleteActivity(outcome="done"), owner)


def customer_story(number: int, customer: UUID, since: datetime, chance: Random) -> Iterator[Step]:
    """What a customer needs later: help, and perhaps more of the same."""
    ticket_at = since
    for count in range(int(chance.expovariate(0.35))):
        ticket_at = after(ticket_at, chance.expovariate(0.02) + 5, chance)
        yield from ticket_story(made("ticket", number, count), customer, ticket_at, number + count)
    if chance.random() < 0.3:
        at = after(since, chance.uniform(120, 400), chance)
        tier = chance.choice(TIERS)
        yield step(at, customer, ChangeCustomerTier(tier=tier), seller(number))
        amount = Decimal(chance.randrange(5_000, 40_000, 500))
        close, deal = (at + timedelta(days=45)).date(), made("expansion", number)
        more = OpenDeal(
            name=f"Expansion {number}",
            customer_id=customer,
            pipeline_id=PIPELINE,
            amount=amount,
            currency="EUR",
            expected_close=close,
            owner=seller(number),
        )
        yield step(at, deal, more, seller(number))
        yield from deal_story(number, deal, at, amount, close, chance)


def ticket_story(ticket: UUID, customer: UUID, at: datetime, number: int) -> Iterator[Step]:
    """A request for help, its detours and its end."""
    chance, helper = dice("ticket", ticket), agent(number)
    problem = chance.choice(PROBLEMS)
    opened = OpenTicket(
        customer_id=customer,
        title=f"Trouble with {problem}",
        body="It worked yesterday.",
        channel=chance.choice(("email", "phone", "chat", "web")),
        priority=chance.choice(("low", "normal", "normal", "high", "urgent")),
        category=problem,
    )
    yield step(at, ticket, opened, helper)
    at = after(at, chance.expovariate(4), chance)
    yield step(at, ticket, AssignTicket(assignee=helper), helper)
    at += timedelta(minutes=chance.randint(5, 300))
    yield step(at, ticket, ReplyToTicket(body="We are looking into it."), helper)
    detour = chance.random()
    if detour < 0.35:
        at += timedelta(hours=1)
        yield step(at, ticket, PutTicketPending(), helper)
        at = after(at, chance.expovariate(0.5), chance)
        heard = HearFromTicketRequester(channel="email", body="Here are the details.")
        yield step(at, ticket, heard, helper)
    elif detour < 0.45:
        at += timedelta(hours=1)
        yield step(at, ticket, PutTicketOnHold(hold_reason="Waiting for a supplier"), helper)
        at = after(at, 3, chance)
        yield step(at, ticket, ResumeTicket(), helper)
    at = after(at, chance.expovariate(0.6), chance)
    yield step(at, ticket, SolveTicket(resolution="Explained and fixed."), helper)
    if chance.random() < 0.5:
        rated = RateTicket(rating=chance.choice((2, 3, 4, 4, 5, 5)))
        yield step(at + timedelta(hours=3), ticket, rated, helper)
    yield step(at + timedelta(days=4), ticket, CloseTicket(), helper)
