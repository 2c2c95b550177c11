"""The company: its people, its way of selling, its campaigns, and the weeks going by."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from cli.demo.steps import Step, after, dice, made, step
from commands.campaign import (
    AddCampaignMember,
    CompleteCampaign,
    PlanCampaign,
    RecordCampaignCost,
    RecordCampaignTouch,
    ScheduleCampaign,
    StartCampaign,
)
from commands.clock import TickClock
from commands.custom_fields import DeclareCustomField
from commands.pipeline import DefinePipeline, RevisePipeline
from commands.user import ChangeUserTeam, DeactivateUser, RegisterUser
from domain.campaign import Channel, TouchKind
from domain.clock import CLOCK
from domain.custom_fields import FieldType, custom_fields_id
from domain.pipeline import PipelineStage
from domain.user import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

DAYS = 730
FIRST = "Ada Ben Cleo Dina Emil Fay Gus Hana Ivo Jana Kai Lena Milo Nora Otto Pia Quin Rosa".split()
LAST = "Alder Birch Cedar Dorn Elm Fern Gorse Hazel Iris Juniper Laurel Maple Oakley Pine".split()
TEAMS = ("North", "South", "Support")
ODDS: tuple[tuple[TouchKind, float], ...] = (
    ("sent", 1.0),
    ("opened", 0.45),
    ("clicked", 0.35),
    ("replied", 0.2),
)
CHANNELS: tuple[Channel, ...] = ("email", "event", "ads", "social")


def person(number: int) -> str:
    """A made-up name."""
    chance = dice("person", number)
    return f"{chance.choice(FIRST)} {chance.choice(LAST)}"


def user(number: int) -> UUID:
    """The id of a member of staff: 0 and 1 lead the sales teams, 2 leads support."""
    return made("user", number)


def seller(number: int) -> UUID:
    """A salesperson: users 3 to 8."""
    return user(3 + number % 6)


def agent(number: int) -> UUID:
    """Somebody in support: users 9 to 11; user 12 left."""
    return user(9 + number % 3)


PIPELINE = made("pipeline", "new business")


def stages(negotiation: str) -> tuple[PipelineStage, ...]:
    """The stages of a sale; how likely the last is to end well was revised after a year."""
    rows = (
        ("prospecting", "0.10", "open", "pipeline"),
        ("discovery", "0.25", "open", "pipeline"),
        ("proposal", "0.50", "open", "best_case"),
        ("negotiation", negotiation, "open", "commit"),
        ("won", "1", "won", "closed"),
        ("lost", "0", "lost", "omitted"),
    )
    return tuple(
        PipelineStage.model_validate(
            {
                "key": key,
                "name": key.capitalize(),
                "probability": probability,
                "status": status,
                "forecast_category": category,
            }
        )
        for key, probability, status, category in rows
    )


def founding(start: datetime) -> Iterator[Step]:
    """Staff, the sales pipeline and the fields the company added to a lead."""
    for number in range(13):
        team = TEAMS[number] if number < 3 else TEAMS[2 if number > 8 else number % 2]
        name = person(number)
        yield step(
            start,
            user(number),
            RegisterUser(
                name=name,
                email=f"{name.split()[0].lower()}.{number}@lantern.example",
                handle=f"{name.split()[0].lower()}.{number}",
                team=team,
                manager_id=None if number < 3 else user(TEAMS.index(team)),
            ),
            SYSTEM,
        )
    fields: tuple[tuple[str, FieldType, str | None, str], ...] = (
        (
            "pages_viewed",
            "integer",
            "pages",
            "Pages of the web site seen before the first contact.",
        ),
        ("newsletter", "boolean", None, "Whether the lead reads our newsletter."),
    )
    for name, field_type, unit, text in fields:
        declared = DeclareCustomField(
            aggregate="lead", name=name, field_type=field_type, unit=unit, description=text
        )
        yield step(start, custom_fields_id("lead"), declared, user(0))
    define = DefinePipeline(name="New business", stages=stages("0.80"))
    yield step(start, PIPELINE, define, user(0))
    revise = RevisePipeline(name="New business", stages=stages("0.70"))
    yield step(start + timedelta(days=365), PIPELINE, revise, user(0))
    moved = ChangeUserTeam(team="South", manager_id=user(1))
    yield step(start + timedelta(days=400), user(3), moved, SYSTEM)
    yield step(start + timedelta(days=700), user(12), DeactivateUser(), SYSTEM)


def weeks(start: datetime) -> Iterator[Step]:
    """The clock, once a week: what makes time pass when nothing else happens."""
    for week in range(1, DAYS // 7 + 1):
        moment = start + timedelta(weeks=week)
        yield step(moment, CLOCK, TickClock(moment=moment), SYSTEM)


def campaign(number: int) -> UUID:
    """The id of a campaign."""
    return made("campaign", number)


def planned(number: int, start: datetime, chance: Random) -> datetime:
    """When a campaign is planned."""
    return after(start, number * 55 + 5, chance)


def campaign_story(
    number: int, start: datetime, leads: list[tuple[datetime, UUID]]
) -> Iterator[Step]:
    """A campaign to some of the leads there were when it began."""
    chance = dice("campaign", number)
    since = planned(number, start, chance)
    running = after(since, 10, chance)
    channel = CHANNELS[number % len(CHANNELS)]
    budget = Decimal(chance.randrange(1_000, 6_000, 250))
    stream, owner = campaign(number), user(number % 2)
    plan = PlanCampaign(
        name=f"{channel.capitalize()} campaign {number + 1}",
        channel=channel,
        objective="Show what is new and ask for a meeting.",
        budget=budget,
        currency="EUR",
        starts_on=running.date(),
        ends_on=(running + timedelta(days=30)).date(),
    )
    yield step(since, stream, plan, owner)
    yield step(after(since, 1, chance), stream, ScheduleCampaign(start_at=running), owner)
    yield step(running, stream, StartCampaign(), owner)
    reached = [lead for at, lead in leads if running - timedelta(days=150) < at < running]
    for lead in chance.sample(reached, min(45, len(reached))):
        joined = running + timedelta(minutes=chance.randint(1, 60))
        member = AddCampaignMember(member_id=lead, member_type="lead")
        yield step(joined, stream, member, owner)
        yield from _touches(stream, lead, joined, owner)
    spent = RecordCampaignCost(cost=budget * Decimal("0.9"), purpose="Production and media")
    yield step(after(running, 5, chance), stream, spent, owner)
    yield step(after(running, 30, chance), stream, CompleteCampaign(), owner)


def _touches(stream: UUID, lead: UUID, joined: datetime, owner: UUID) -> Iterator[Step]:
    chance = dice("touch", stream, lead)
    at = joined + timedelta(minutes=5)
    for kind, odds in ODDS:
        if chance.random() > odds:
            return
        yield step(at, stream, RecordCampaignTouch(member_id=lead, kind=kind), owner)
        at += timedelta(minutes=chance.randint(10, 3_000))
