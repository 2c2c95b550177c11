"""Weeks in which everything happens: commands at random, of which the refused ones are passed over.

What the demo's well-behaved company never does is here: several currencies, deals won and reopened,
contacts that change sides, tickets rated twice, and much that is written down late.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cli.demo.company import PIPELINE, stages, user
from cli.demo.steps import Step, dice, made, step
from commands import activity, campaign, contact, customer, deal, lead, pipeline, ticket
from commands.conversion import ConvertLead
from domain.pipeline import PipelineStage

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from commands.base import Command

CURRENCIES = ("EUR", "EUR", "USD", "JPY")
SOURCES = ("website", "partner", "event")
OPEN_STAGES = ("prospecting", "discovery", "proposal", "negotiation", "pilot")
RENEWALS = made("pipeline", "renewals")
HOW_MANY = {
    "customer": 8,
    "contact": 12,
    "lead": 60,
    "deal": 70,
    "ticket": 50,
    "activity": 90,
    "campaign": 4,
}


def busy_weeks(start: datetime, days: int, tries: int, seed: int = 7) -> Iterator[Step]:
    """Steps at random in the days after `start`, in the order they are written down."""
    chance = dice("busy", seed)
    yield step(
        start, RENEWALS, pipeline.DefinePipeline(name="Renewals", stages=_renewals()), user(0)
    )
    chaos = Chaos(chance)
    for number in range(tries):
        logged = start + timedelta(days=days) * ((number + chance.random()) / tries)
        late = timedelta(days=chance.choice([0] * 8 + [1, 6]), minutes=chance.choice([0, 0, 7]))
        chaos.today = logged - late
        kind = chance.choice([*HOW_MANY, "deal", "deal", "deal", "ticket", "lead"])
        stream = chaos.some(kind)
        command = chance.choice(chaos.verbs[kind])()
        asker = user(chance.randrange(12))
        yield step(
            chaos.today, stream, command, asker, late=late, command_id=made("busy", seed, number)
        )


def _renewals() -> tuple[PipelineStage, ...]:
    """Another pipeline: shorter, and with a stage that the first one lacks."""
    first, _, *others = stages("0.75")
    pilot = first.model_copy(
        update={"key": "pilot", "name": "Pilot", "probability": Decimal("0.3333")}
    )
    return (pilot, *others)


class Chaos:
    """Makes commands at random; most are refused, which is how the others become unlikely ones."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.today = datetime.min.replace(tzinfo=UTC)
        self.verbs: dict[str, list[Callable[[], Command[Any]]]] = {
            "customer": self._customer(), "contact": self._contact(), "lead": self._lead(),
            "deal": self._deal(), "ticket": self._ticket(), "activity": self._activity(),
            "campaign": self._campaign(),
        }  # fmt: skip

    def some(self, kind: str) -> UUID:
        """The id of one of the records of a kind."""
        return made("busy", kind, self.chance.randrange(HOW_MANY[kind]))

    def perhaps(self, kind: str) -> UUID | None:
        """The same, or none."""
        return self.some(kind) if self.chance.random() < 0.6 else None

    def one(self, *values: Any) -> Any:
        """One of some values."""
        return self.chance.choice(values)

    def owner(self) -> UUID:
        """A user."""
        return user(self.chance.randrange(3, 9))

    def price(self) -> Decimal:
        """An amount of money, odd to the cent."""
        return Decimal(self.chance.randrange(1, 9_000_00)) / 100

    def day(self) -> Any:
        """A day around today, or none."""
        shift = self.chance.randrange(-20, 90)
        return self.one(None, *[(self.today + timedelta(days=shift)).date()] * 5)

    def _customer(self) -> list[Callable[[], Command[Any]]]:
        return [
            lambda: customer.CreateCustomer(
                name=f"Firm {self.chance.randrange(99)}", currency=self.one(*CURRENCIES)
            ),
            lambda: customer.ChangeCustomerTier(tier=self.one("standard", "premium", "enterprise")),
            lambda: customer.AssignCustomer(owner=self.owner()),
            lambda: self.one(
                customer.CloseCustomer(reason="Gone"),
                *[customer.ReactivateCustomer(reason="Back")] * 3,
            ),
        ]

    def _contact(self) -> list[Callable[[], Command[Any]]]:
        channel = ("email", "phone", "post")
        return [
            lambda: contact.CreateContact(
                name="Somebody", lead_id=self.perhaps("lead"), customer_id=self.perhaps("customer")
            ),
            lambda: contact.LinkContact(customer_id=self.some("customer"), role="user"),
            lambda: contact.UnlinkContact(customer_id=self.some("customer")),
            lambda: contact.GrantConsent(channel=self.one(*channel), source="A form"),
            lambda: contact.WithdrawConsent(channel=self.one(*channel), source="A letter"),
        ]

    def _lead(self) -> list[Callable[[], Command[Any]]]:
        return [
            lambda: lead.CaptureLead(
                name="Somebody", company=f"Firm {self.chance.randrange(99)}",
                source=self.one(*SOURCES), campaign_id=self.perhaps("campaign"),
            ),
            lambda: lead.AssignLead(owner=self.owner()),
            lambda: lead.EngageLead(kind=self.one("call", "meeting", "reply")),
            lambda: lead.QualifyLead(budget=self.one(2, 5), authority=4, need=3, timeline=2),
            lambda: lead.DisqualifyLead(reason=self.one("no_need", "no_budget")),
            lambda: lead.RecycleLead(reason="Another try"),
            lambda: ConvertLead(customer_id=self.perhaps("customer")),
            lambda: ConvertLead(
                create_deal=True, pipeline_id=RENEWALS, amount=self.price(),
                currency=self.one(*CURRENCIES), expected_close=self.day(),
            ),
        ]  # fmt: skip

    def _deal(self) -> list[Callable[[], Command[Any]]]:
        reason = ("price", "competitor", "no_decision")
        return [
            lambda: deal.OpenDeal(
                name="A deal", customer_id=self.perhaps("customer"),
                contact_id=self.perhaps("contact"), pipeline_id=self.one(PIPELINE, RENEWALS),
                amount=self.price(), currency=self.one(*CURRENCIES), expected_close=self.day(),
                owner=self.owner(), product=self.one("Seats", "Service", None),
            ),
            lambda: deal.LinkDeal(customer_id=self.some("customer")),
            lambda: deal.ChangeDealStage(stage=self.one(*OPEN_STAGES)),
            lambda: deal.ChangeDealStage(stage=self.one(*OPEN_STAGES)),
            lambda: deal.ChangeDealAmount(amount=self.price(), currency=self.one(*CURRENCIES)),
            lambda: deal.ChangeDealCloseDate(expected_close=self.day()),
            lambda: deal.AssignDeal(owner=self.owner()),
            lambda: deal.WinDeal(amount=self.one(None, self.price())),
            lambda: deal.LoseDeal(
                reason=self.one(*reason), competitor=self.one(None, "Rival Inc")
            ),
            lambda: deal.ReopenDeal(reason="Again", stage=self.one(None, *OPEN_STAGES)),
        ]  # fmt: skip

    def _ticket(self) -> list[Callable[[], Command[Any]]]:
        priority = ("low", "normal", "high", "urgent")
        return [
            lambda: ticket.OpenTicket(
                title="Help", channel="web", priority=self.one(*priority),
                customer_id=self.perhaps("customer"), contact_id=self.perhaps("contact"),
            ),
            lambda: ticket.AssignTicket(assignee=self.owner()),
            lambda: ticket.ReplyToTicket(body="We look into it."),
            lambda: ticket.HearFromTicketRequester(channel="email", body="Still broken."),
            ticket.PutTicketPending,
            lambda: ticket.PutTicketOnHold(hold_reason="A part is on its way"),
            lambda: ticket.ChangeTicketPriority(priority=self.one(*priority)),
            lambda: ticket.SolveTicket(resolution="Done."),
            lambda: ticket.ReopenTicket(reopen_reason="not_fixed"),
            lambda: ticket.RateTicket(rating=self.chance.randint(1, 5)),
            lambda: self.one(ticket.CloseTicket(), *[ticket.ResumeTicket()] * 4),
        ]  # fmt: skip

    def _about(self) -> dict[str, UUID | None]:
        """What an activity is about: one thing, now and then two."""
        kinds = ("customer", "contact", "lead", "deal", "ticket")
        chosen = self.chance.sample(kinds, self.one(1, 1, 2))
        return {f"{kind}_id": self.some(kind) for kind in chosen}

    def _activity(self) -> list[Callable[[], Command[Any]]]:
        kind = ("task", "call", "meeting")
        return [
            lambda: activity.PlanActivity(
                kind=self.one(*kind), title="A thing to do", owner=self.owner(),
                due=self.today + timedelta(days=self.chance.randrange(-3, 9)), **self._about(),
            ),
            lambda: activity.LogActivity(
                kind=self.one(*kind), direction="outbound", duration_minutes=self.one(None, 12),
                owner=self.owner(), **self._about(),
            ),
            lambda: activity.RescheduleActivity(due=self.today + timedelta(days=5)),
            lambda: activity.AssignActivity(owner=self.owner()),
            lambda: self.one(
                activity.StartActivity(), activity.CompleteActivity(duration_minutes=30),
                activity.CancelActivity(reason="not_needed"),
            ),
        ]  # fmt: skip

    def _member(self) -> dict[str, Any]:
        kind = self.one("lead", "contact")
        return {"member_id": self.some(kind), "member_type": kind}

    def _campaign(self) -> list[Callable[[], Command[Any]]]:
        kinds = ("sent", "opened", "clicked", "replied", "bounced", "opted_out")
        return [
            lambda: campaign.PlanCampaign(
                name="A campaign", channel="email", currency=self.one(*CURRENCIES)
            ),
            campaign.StartCampaign,
            lambda: campaign.RecordCampaignCost(cost=self.price()),
            *[lambda: campaign.AddCampaignMember(**self._member())] * 5,
            *[
                lambda: campaign.RecordCampaignTouch(
                    member_id=self._member()["member_id"], kind=self.one("sent", *kinds),
                    cost=self.one(None, Decimal("0.07")),
                )
            ] * 8,
            lambda: campaign.RemoveCampaignMember(member_id=self._member()["member_id"]),
        ]  # fmt: skip
