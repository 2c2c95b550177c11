"""A customer: a company, or a household, that we sell to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, assert_never
from uuid import UUID

from domain.base import Event, Personal, Refusal, State, replace
from domain.merger import (
    Absorbed,
    Absorption,
    Merged,
    Parts,
    Separated,
    Unmerged,
    absorbing,
    separating,
)
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


class CustomerValues(Event):
    """What a merger sets of a customer; `name_from`: the one merged into it whose name it bears."""

    name: Line
    name_from: UUID | None
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


class CustomerMerged(Merged, type="customer.merged.v1"):
    """The customer is the same as another one, and is shown with it from now on."""


class CustomerUnmerged(Unmerged, type="customer.unmerged.v1"):
    """The customer was another one after all."""


class CustomerAbsorbed(CustomerValues, Absorbed, type="customer.absorbed.v1"):
    """Another customer was merged into this one, which has these values from now on."""


class CustomerSeparated(CustomerValues, Separated, type="customer.separated.v1"):
    """A customer that was merged into this one is its own again."""


CustomerEvent = (
    CustomerCreated
    | CustomerRenamed
    | CustomerTierChanged
    | CustomerAssigned
    | CustomerPreferencesSet
    | CustomerClosed
    | CustomerReactivated
    | CustomerCustomFieldsSet
    | CustomerMerged
    | CustomerUnmerged
    | CustomerAbsorbed
    | CustomerSeparated
    | CustomerRetracted
)

PARTS: Parts = {
    "name": ("name", "name_from"),
    "annual_revenue": ("annual_revenue", "currency"),
    **{
        name: (name,)
        for name in CustomerValues.model_fields
        if name not in {"name", "name_from", "annual_revenue", "currency"}
    },
}
"""What another customer may take over."""


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
    own_name: str = ""
    """By which it is known, whatever name it bears since another one was merged into it."""
    name_from: UUID | None = None
    website: str | None = None
    industry: str | None = None
    country: str | None = None
    currency: str | None = None
    employees: int | None = None
    annual_revenue: Amount | None = None
    parent_id: UUID | None = None
    merger: CustomerMerged | CustomerUnmerged | None = None
    absorbed: dict[UUID, Absorption] = field(default_factory=dict)
    """The customers merged into this one."""

    def evolve(self, event: CustomerEvent, /) -> Customer:
        match event:
            case CustomerCreated():
                return replace(
                    self, status="active", own_name=event.name, created=event, **dict(event)
                )
            case CustomerRenamed(name=name):
                return replace(self, name=name, own_name=name, name_from=None)
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
            case CustomerMerged() | CustomerUnmerged():
                return replace(self, merger=event)
            case CustomerAbsorbed():
                return absorbing(self, event, PARTS)
            case CustomerSeparated():
                return separating(self, event, PARTS)
            case CustomerRetracted():
                return Customer()
            case _:
                assert_never(event)

    def holds(self) -> Iterator[tuple[str, str]]:
        """One active customer per identity."""
        if self.status == "active":
            yield identity_of_customer(self.own_name)


def identity_of_customer(name: str) -> tuple[str, str]:
    """What an active customer by this name holds, in whatever spelling."""
    return "customer.identity", identity(name)
