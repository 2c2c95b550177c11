"""How a lead becomes a customer with a contact and, if wished, a deal, and how that is undone.

Each is one decision for all of them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from commands.base import Command, On, Reference, World
from commands.deal import Price, may_buy, place
from commands.lead import known
from commands.merger import merged_into
from domain.base import HIDDEN, Event
from domain.contact import Contact, ContactCreated, ContactLinked, Role, email_of_contact
from domain.customer import Customer, CustomerCreated, identity_of_customer
from domain.deal import Deal, DealOfAnotherCustomer, DealOpened
from domain.lead import Lead, LeadCaptured, LeadConverted, LeadHidden, LeadNotOpen
from domain.pipeline import Pipeline
from domain.user import User
from domain.values import NIL, Currency, Day, Line, Slug, email_kind, title_level

if TYPE_CHECKING:
    from collections.abc import Iterator


class ConvertLead(Command[Lead]):
    """Make a lead a customer with a contact and, if wished, a deal.

    A customer of the same name and a contact of the same e-mail address are linked, not made
    twice. A person without a company becomes a customer in private. `customer_id` and `deal_id`
    name a customer and a deal that exist already. A lead need not be qualified first: some buy
    before anybody has judged them, and of some only the outcome is known.
    """

    customer_id: Reference[Customer] | None = None
    role: Role = "other"
    deal_id: Reference[Deal] | None = None
    create_deal: bool = False
    deal_name: Line | None = None
    pipeline_id: Reference[Pipeline] | None = None
    stage: Slug | None = None
    amount: Price = Decimal(0)
    currency: Currency | None = None
    expected_close: Day | None = None
    product: Line | None = None

    example = {
        "role": "decision_maker",
        "create_deal": True,
        "deal_name": "Example Ltd: 40 seats",
        "pipeline_id": "00000000-0000-4000-8000-000000000004",
        "amount": "12000.00",
        "currency": "EUR",
        "expected_close": "2026-06-30",
    }

    @model_validator(mode="after")
    def a_deal_has_a_pipeline_and_a_currency(self) -> Self:
        if self.create_deal and (self.pipeline_id is None or self.currency is None):
            raise ValueError("create_deal needs pipeline_id and currency")
        if self.create_deal and self.deal_id is not None:
            raise ValueError("create_deal makes a new deal; deal_id names one there is")
        return self

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[Event | On]:
        known(lead)
        if lead.conversion is not None and self.is_met(world, lead.conversion):
            return
        if lead.status not in {"open", "qualified"} or lead.captured is None:
            raise LeadNotOpen(status=lead.status)
        if lead.name is HIDDEN:
            raise LeadHidden
        contact_id, contact = contact_of(world, lead)
        customer_id, customer = self.customer(world, lead, contact)
        name = customer.name or lead.company or f"Private customer {customer_id.hex[:12]}"
        owner = owner_of(world, lead)
        made: list[UUID] = []
        if customer.status == "unknown":
            made.append(customer_id)
            yield On(customer_id, new_customer(name, owner, lead.captured, self.currency))
        if contact.status == "unknown":
            made.append(contact_id)
            yield On(contact_id, new_contact(world.id, lead, lead.captured))
        role = None if customer_id in contact.customers() else self.role
        if role:
            yield On(contact_id, ContactLinked(customer_id=customer_id, role=role, since=None))
        deal_id = self.deal(world, customer_id)
        if self.create_deal:
            deal_id = world.new_id("deal")
            made.append(deal_id)
            yield On(deal_id, self.new_deal(world, name, owner, customer_id, contact_id))
        yield LeadConverted(
            customer_id=customer_id,
            contact_id=contact_id,
            deal_id=deal_id,
            made=tuple(made),
            role=role,
        )

    def is_met(self, world: World, conversion: LeadConverted) -> bool:
        """Whether a lead was converted in just this way."""
        if self.customer_id not in {None, conversion.customer_id}:
            return False
        if self.deal_id is not None:
            return self.deal_id == conversion.deal_id
        if not self.create_deal or conversion.deal_id is None:
            return self.create_deal == (conversion.deal_id is not None)
        opened = world.load(Deal, conversion.deal_id).opened
        return opened is not None and opened == opened.model_copy(
            update=self.terms()
            | {"name": self.deal_name or opened.name, "stage": self.stage or opened.stage}
        )

    def customer(self, world: World, lead: Lead, contact: Contact) -> tuple[UUID, Customer]:
        """The customer that is named, or else the one the lead leads to."""
        if self.customer_id is None:
            return customer_of(world, lead, contact)
        may_buy(world, self.customer_id)
        return self.customer_id, world.load(Customer, self.customer_id)

    def deal(self, world: World, customer_id: UUID) -> UUID | None:
        """The deal that is named, if it is this customer's."""
        if self.deal_id and world.load(Deal, self.deal_id).customer_id != customer_id:
            raise DealOfAnotherCustomer
        return self.deal_id

    def terms(self) -> dict[str, Any]:
        """What the command says about the deal and always means."""
        terms = ("pipeline_id", "amount", "currency", "expected_close", "product")
        return {name: getattr(self, name) for name in terms}

    def new_deal(
        self, world: World, name: str, owner: UUID | None, customer_id: UUID, contact_id: UUID
    ) -> DealOpened:
        """The deal of a conversion; it bears the customer's name unless another is given."""
        return DealOpened(
            name=self.deal_name or name,
            customer_id=customer_id,
            contact_id=contact_id,
            owner=owner,
            custom={},
            custom_personal={},
            **self.terms(),
            **place(world, self.pipeline_id or NIL, self.stage),
        )


class RecordLeadConversion(Command[Lead]):
    """Record that a lead became a customer, a contact and perhaps a deal that are here already.

    For leads that were converted elsewhere. `made` are those of them that began with it, and
    `role` is the one the contact came to play by it: they go if the conversion is taken back.
    """

    customer_id: Reference[Customer]
    contact_id: Reference[Contact]
    deal_id: Reference[Deal] | None = None
    made: Annotated[tuple[UUID, ...], Field(max_length=3)] = ()
    role: Role | None = None

    example = {
        "customer_id": "00000000-0000-4000-8000-000000000003",
        "contact_id": "00000000-0000-4000-8000-000000000002",
        "made": ["00000000-0000-4000-8000-000000000002"],
        "role": "decision_maker",
    }

    @model_validator(mode="after")
    def only_what_is_named_was_made(self) -> Self:
        if not {*self.made} <= {self.customer_id, self.contact_id, self.deal_id}:
            raise ValueError("made may name the customer, the contact and the deal, nothing else")
        return self

    def decide(self, lead: Lead, /) -> Iterator[LeadConverted]:
        known(lead)
        converted = LeadConverted(**self.fields())
        if lead.conversion == converted:
            return
        if lead.status not in {"open", "qualified"}:
            raise LeadNotOpen(status=lead.status)
        yield converted


def contact_of(world: World, lead: Lead) -> tuple[UUID, Contact]:
    """The contact who has the lead's e-mail address, or a blank one under a new id."""
    email = lead.email
    found = world.holder(*email_of_contact(email)) if email else None
    if found:
        found = merged_into(world.load(Contact, found), found)
    contact_id = found or world.new_id("contact")
    return contact_id, world.load(Contact, contact_id)


def customer_of(world: World, lead: Lead, contact: Contact) -> tuple[UUID, Customer]:
    """The customer that bears the name of the lead's company, or a blank one under a new id.

    A lead without a company belongs to the first customer where the contact plays a role: people
    are not customers by their names, for these are personal and seldom unique.
    """
    if lead.company:
        found = world.holder(*identity_of_customer(lead.company))
        if found:
            found = merged_into(world.load(Customer, found), found)
    else:
        active = (c for c in contact.customers() if world.load(Customer, c).status == "active")
        found = next(active, None)
    customer_id = found or world.new_id("customer")
    return customer_id, world.load(Customer, customer_id)


def owner_of(world: World, lead: Lead) -> UUID | None:
    """Who is responsible for what a lead becomes: whoever is for the lead, unless gone."""
    if lead.owner is None or world.load(User, lead.owner).status == "inactive":
        return None
    return lead.owner


def new_customer(
    name: str, owner: UUID | None, captured: LeadCaptured, currency: str | None
) -> CustomerCreated:
    """A customer as far as a lead tells."""
    return CustomerCreated(
        name=name,
        website=None,
        tier="standard",
        industry=None,
        country=captured.country,
        currency=currency,
        employees=None,
        annual_revenue=None,
        parent_id=None,
        owner=owner,
        custom={},
        custom_personal={},
    )


def new_contact(lead_id: UUID, lead: Lead, captured: LeadCaptured) -> ContactCreated:
    """A contact as far as a lead tells; it stays the same person, under the same key."""
    return ContactCreated(
        person_id=lead_id,
        name=lead.name,
        email=lead.email,
        phone=lead.phone,
        email_kind=email_kind(lead.email),
        has_phone=lead.phone is not None,
        title=captured.title,
        title_level=title_level(captured.title),
        lead_id=lead_id,
        custom={},
        custom_personal={},
    )
