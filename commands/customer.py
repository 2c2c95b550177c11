"""What can be asked of a customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from commands.base import Command, On, Reference, World
from commands.custom_fields import CustomValues, custom_changes, custom_values
from commands.merger import merged_into, must_have_none_merged, must_stand_alone
from commands.user import may_own
from domain.customer import (
    Customer,
    CustomerAlreadyCreated,
    CustomerAssigned,
    CustomerClosed,
    CustomerCreated,
    CustomerCustomFieldsSet,
    CustomerEvent,
    CustomerIdentityTaken,
    CustomerNotActive,
    CustomerNotClosed,
    CustomerPreferencesSet,
    CustomerReactivated,
    CustomerRenamed,
    CustomerRetracted,
    CustomerTierChanged,
    CustomerUnknown,
    Tier,
    identity_of_customer,
)
from domain.user import User
from domain.values import Amount, Country, Currency, Line, Slug, Whole

if TYPE_CHECKING:
    from collections.abc import Iterator

Headcount = Annotated[Whole, Field(ge=0)]


class CreateCustomer(Command[Customer], creates=True):
    """Record a customer."""

    name: Line
    website: Line | None = None
    tier: Tier = "standard"
    industry: Line | None = None
    country: Country | None = None
    currency: Currency | None = None
    employees: Headcount | None = None
    annual_revenue: Amount | None = None
    parent_id: Reference[Customer] | None = None
    owner: Reference[User] | None = None
    custom: CustomValues = Field(default_factory=dict)

    example = {
        "name": "Example Ltd",
        "website": "example.com",
        "tier": "premium",
        "industry": "software",
        "country": "GB",
        "currency": "GBP",
        "employees": 250,
        "annual_revenue": "31000000.00",
    }

    @model_validator(mode="after")
    def money_has_a_currency(self) -> Self:
        if self.annual_revenue is not None and self.currency is None:
            raise ValueError("annual_revenue needs a currency")
        return self

    def claims(self) -> Iterator[tuple[str, str]]:
        yield identity_of_customer(self.name)

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[CustomerEvent]:
        created = CustomerCreated(**self.fields() | custom_values(world, Customer, self.custom))
        if customer.created == created:
            return
        if customer.status != "unknown":
            raise CustomerAlreadyCreated
        identity_must_be_free(world, self.name)
        if self.owner:
            may_own(world, self.owner)
        yield created


class RenameCustomer(Command[Customer]):
    """Record that a customer goes by another name."""

    name: Line

    example = {"name": "Example Group Ltd"}

    def claims(self) -> Iterator[tuple[str, str]]:
        yield identity_of_customer(self.name)

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[CustomerEvent]:
        known(customer)
        if customer.name == self.name and customer.name_from is None:
            return
        must_be_active(customer)
        identity_must_be_free(world, self.name)
        yield CustomerRenamed(name=self.name, previous_name=customer.name)


class ChangeCustomerTier(Command[Customer]):
    """Serve a customer at another level."""

    tier: Tier

    example = {"tier": "enterprise"}

    def decide(self, customer: Customer, /) -> Iterator[CustomerEvent]:
        known(customer)
        if customer.tier == self.tier:
            return
        must_be_active(customer)
        yield CustomerTierChanged(tier=self.tier, previous_tier=customer.tier)


class AssignCustomer(Command[Customer]):
    """Make a user responsible for a customer."""

    owner: Reference[User]

    example = {"owner": "00000000-0000-4000-8000-000000000001"}

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[CustomerEvent]:
        known(customer)
        if customer.owner == self.owner:
            return
        must_be_active(customer)
        may_own(world, self.owner)
        yield CustomerAssigned(owner=self.owner, previous_owner=customer.owner)


class SetCustomerPreferences(Command[Customer]):
    """Record how a customer wants to be treated; null takes a preference back."""

    preferences: Annotated[dict[Slug, Line | None], Field(max_length=100)]

    example = {"preferences": {"language": "de", "invoice_by": "post"}}

    def decide(self, customer: Customer, /) -> Iterator[CustomerEvent]:
        known(customer)
        wanted = customer.preferences | self.preferences
        preferences = {name: value for name, value in wanted.items() if value is not None}
        if preferences == customer.preferences:
            return
        must_be_active(customer)
        yield CustomerPreferencesSet(preferences=preferences)


class CloseCustomer(Command[Customer]):
    """Stop selling to a customer, and to those merged into it, for a reason."""

    reason: Line

    example = {"reason": "Insolvent"}

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[CustomerEvent | On]:
        closed = CustomerClosed(reason=self.reason)
        if customer.turn == closed:
            return
        must_be_active(customer)
        yield closed
        for id in customer.absorbed:
            if world.load(Customer, id).status == "active":
                yield On(id, closed)


class ReactivateCustomer(Command[Customer]):
    """Sell to a closed customer again."""

    reason: Line

    example = {"reason": "New owner"}

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[CustomerEvent]:
        known(customer)
        reactivated = CustomerReactivated(reason=self.reason)
        if customer.turn == reactivated:
            return
        if customer.status != "closed":
            raise CustomerNotClosed(status=customer.status)
        identity_must_be_free(world, customer.name)
        yield reactivated


class SetCustomerCustomFields(Command[Customer]):
    """Set custom fields of a customer; fields not named keep their values."""

    custom: CustomValues

    example = {"custom": {}}

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[CustomerEvent]:
        known(customer)
        if changes := custom_changes(world, Customer, customer, self.custom):
            yield CustomerCustomFieldsSet(**changes)


class RetractCustomer(Command[Customer]):
    """Take back a customer that should never have been created; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, customer: Customer, /) -> Iterator[CustomerEvent]:
        known(customer)
        must_have_none_merged(customer)
        yield CustomerRetracted(reason=self.reason)


def known(customer: Customer) -> None:
    """Refuse what is asked of a customer never created, or merged into another one."""
    if customer.status == "unknown":
        raise CustomerUnknown
    must_stand_alone(customer)


def must_be_active(customer: Customer) -> None:
    """Refuse what only an active customer can do."""
    known(customer)
    if customer.status != "active":
        raise CustomerNotActive(status=customer.status)


def identity_must_be_free(world: World, name: str) -> None:
    """Refuse a name that another active customer goes by, in whatever spelling."""
    holder = world.holder(*identity_of_customer(name))
    if holder is not None and holder != world.id:
        survivor = merged_into(world.load(Customer, holder), holder)
        raise CustomerIdentityTaken(customer_id=holder if survivor == world.id else survivor)
