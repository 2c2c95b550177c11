"""A customer: a company, or a household, that we sell to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, assert_never
from uuid import UUID

from domain.base import Event, Personal, Refusal, State
from domain.values import Amount, Country, Currency, CustomValue, Line, Slug, Whole, identity

if TYPE_CHECKING:
    from collections.abc import Iterator

Tier = Literal["standard", "premium", "enterprise"]
Status = Literal["unknown", "active", "closed"]


class CustomerCreated(Event, type="customer.created.v1"):
    """We began to know a customer."""

    name: Line
    website: Line | None
    tier: Tier
    industry: Line | None
    country: Country | None
    currency: Currency | None
    employees: Whole | None
    annual_revenue: Amount | None
    parent_id: UUID | None
    owner: UUID | None
    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class CustomerRenamed(Event, type="customer.renamed.v1"):
    """The customer goes by another name."""

    name: Line
    previous_name: Line


class CustomerTierChanged(Event, type="customer.tier_changed.v1"):
    """The customer is served at another level."""

    tier: Tier
    previous_tier: Tier


class CustomerAssigned(Event, type="customer.assigned.v1"):
    """A user became responsible for the customer; null: nobody is."""

    owner: UUID | None
    previous_owner: UUID | None


class CustomerPreferencesSet(Event, type="customer.preferences_set.v1"):
    """The customer told us how to be treated; all preferences are listed, as they are now."""

    preferences: dict[Slug, Line]


class CustomerClosed(Event, type="customer.closed.v1"):
    """We no longer sell to the customer."""

    reason: Line


class CustomerReactivated(Event, type="customer.reactivated.v1"):
    """A customer we had given up came back."""

    reason: Line


class CustomerCustomFieldsSet(Event, type="customer.custom_fields_set.v1"):
    """Custom fields took new values; all of them are listed, as they are now."""

    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class CustomerRetracted(Event, type="customer.retracted.v1"):
    """The record was taken back: it is as if the customer had never been created."""

    reason: Line


CustomerEvent = (
    CustomerCreated
    | CustomerRenamed
    | CustomerTierChanged
    | CustomerAssigned
    | CustomerPreferencesSet
    | CustomerClosed
    | CustomerReactivated
    | CustomerCustomFieldsSet
    | CustomerRetracted
)


class CustomerUnknown(Refusal):
    """There is no such customer."""


class CustomerAlreadyCreated(Refusal):
    """A customer with this id was created before, with other values."""


class CustomerIdentityTaken(Refusal):
    """The customer {customer_id} already goes by this name."""


class CustomerNotActive(Refusal):
    """The customer is {status}; only an active customer can do this."""


class CustomerNotClosed(Refusal):
    """The customer is {status}; only a closed customer can be reactivated."""


@dataclass(frozen=True, slots=True)
class Customer(State[CustomerEvent]):
    """What decisions about a customer need to know."""

    status: Status = "unknown"
    name: str = ""
    tier: Tier = "standard"
    owner: UUID | None = None
    preferences: dict[str, str] = field(default_factory=dict)
    custom: dict[str, CustomValue] = field(default_factory=dict)
    custom_personal: dict[str, CustomValue] = field(default_factory=dict)
    created: CustomerCreated | None = None
    turn: CustomerClosed | CustomerReactivated | None = None

    def evolve(self, event: CustomerEvent, /) -> Customer:
        match event:
            case CustomerCreated():
                return replace(
                    self,
                    status="active",
                    name=event.name,
                    tier=event.tier,
                    owner=event.owner,
                    custom=event.custom,
                    custom_personal=event.custom_personal,
                    created=event,
                )
            case CustomerRenamed():
                return replace(self, name=event.name)
            case CustomerTierChanged():
                return replace(self, tier=event.tier)
            case CustomerAssigned():
                return replace(self, owner=event.owner)
            case CustomerPreferencesSet():
                return replace(self, preferences=event.preferences)
            case CustomerClosed():
                return replace(self, status="closed", turn=event)
            case CustomerReactivated():
                return replace(self, status="active", turn=event)
            case CustomerCustomFieldsSet():
                return replace(self, custom=event.custom, custom_personal=event.custom_personal)
            case CustomerRetracted():
                return Customer()
            case _:
                assert_never(event)

    def holds(self) -> Iterator[tuple[str, str]]:
        """One active customer per identity."""
        if self.status == "active":
            yield identity_of_customer(self.name)


def identity_of_customer(name: str) -> tuple[str, str]:
    """What an active customer by this name holds, in whatever spelling."""
    return "customer.identity", identity(name)
