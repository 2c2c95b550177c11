"""How two records become one, and two again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from commands.base import Command, On, Reference, World
from domain.base import HIDDEN, State, aggregate_of
from domain.contact import (
    PARTS as CONTACT,
)
from domain.contact import (
    Contact,
    ContactAbsorbed,
    ContactMerged,
    ContactNotActive,
    ContactSeparated,
    ContactUnknown,
    ContactUnmerged,
)
from domain.customer import (
    PARTS as CUSTOMER,
)
from domain.customer import (
    Customer,
    CustomerAbsorbed,
    CustomerMerged,
    CustomerNotActive,
    CustomerSeparated,
    CustomerUnknown,
    CustomerUnmerged,
)
from domain.merger import (
    Merged,
    RecordHasMerged,
    RecordHidden,
    RecordIsMerged,
    RecordMergedIntoItself,
    RecordNotMerged,
    fields_of,
    parts_of,
)
from domain.subject import Subject, subject_stream
from domain.ticket import (
    PARTS as TICKET,
)
from domain.ticket import (
    Ticket,
    TicketAbsorbed,
    TicketMerged,
    TicketSealed,
    TicketSeparated,
    TicketUnknown,
    TicketUnmerged,
)
from domain.undo import Conflict, undone
from domain.values import Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from domain.base import Event
    from domain.merger import Parts

ContactPart = Literal["name", "email", "phone", "title", "custom"]
CustomerPart = Literal[
    "name",
    "website",
    "tier",
    "industry",
    "country",
    "employees",
    "annual_revenue",
    "parent_id",
    "owner",
    "custom",
]
TicketPart = Literal["assignee", "priority", "category", "custom"]


class MergeContact(Command[Contact]):
    """Say that a contact is the same person as another one, and is shown with that one from now on.

    What `take` names the other one takes over; all else stays as it is there. Roles, deals,
    tickets, activities and consents go along in every table, and come back with `UnmergeContact`.
    """

    into: Reference[Contact]
    take: Annotated[tuple[ContactPart, ...], Field(max_length=5)] = ()
    reason: Line

    example = {
        "into": "00000000-0000-4000-8000-000000000005",
        "take": ["phone"],
        "reason": "Same person, typed in twice",
    }

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[Event | On]:
        if contact.status == "unknown":
            raise ContactUnknown
        into = ContactMerged(merged_into=self.into, taken=self.take, reason=self.reason)
        if contact.merger == into:
            return
        survivor = world.load(Contact, self.into)
        may_be_one(world, contact, survivor, self.into)
        if survivor.status != "active":
            raise ContactNotActive(status=survivor.status)
        values = taken(contact, survivor, self.take, CONTACT)
        shown = {f"{name}_from" for name in self.take} & values.keys()
        values |= dict.fromkeys(shown, world.id)
        yield into
        yield On(self.into, ContactAbsorbed(merged_id=world.id, **values))


class UnmergeContact(Command[Contact]):
    """Say that two contacts are two persons: both are what they were before they were merged.

    What the other one took over goes back, but for what was changed there since: that stays, and
    is told as conflicts.
    """

    reason: Line

    example = {"reason": "Father and son"}

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[Event | On]:
        if contact.status == "unknown":
            raise ContactUnknown
        unmerged = ContactUnmerged(reason=self.reason)
        if (survivor_id := must_be_merged(contact, unmerged)) is None:
            return
        values = given_back(world, Contact, survivor_id, CONTACT)
        yield unmerged
        yield On(survivor_id, ContactSeparated(merged_id=world.id, **values))


class MergeCustomer(Command[Customer]):
    """Say that a customer is the same as another one, and is shown with that one from now on.

    What `take` names the other one takes over; all else stays as it is there. Contacts, deals,
    tickets and activities go along in every table, and come back with `UnmergeCustomer`.
    """

    into: Reference[Customer]
    take: Annotated[tuple[CustomerPart, ...], Field(max_length=10)] = ()
    reason: Line

    example = {
        "into": "00000000-0000-4000-8000-000000000003",
        "take": ["website", "annual_revenue"],
        "reason": "Imported under the name before",
    }

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[Event | On]:
        if customer.status == "unknown":
            raise CustomerUnknown
        into = CustomerMerged(merged_into=self.into, taken=self.take, reason=self.reason)
        if customer.merger == into:
            return
        survivor = world.load(Customer, self.into)
        may_be_one(world, customer, survivor, self.into)
        if survivor.status != "active":
            raise CustomerNotActive(status=survivor.status)
        values = taken(customer, survivor, self.take, CUSTOMER)
        values |= {"name_from": world.id} if "name" in self.take else {}
        yield into
        yield On(self.into, CustomerAbsorbed(merged_id=world.id, **values))


class UnmergeCustomer(Command[Customer]):
    """Say that two customers are two: both are what they were before they were merged.

    What the other one took over goes back, but for what was changed there since: that stays, and
    is told as conflicts.
    """

    reason: Line

    example = {"reason": "Two branches that buy for themselves"}

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[Event | On]:
        if customer.status == "unknown":
            raise CustomerUnknown
        unmerged = CustomerUnmerged(reason=self.reason)
        if (survivor_id := must_be_merged(customer, unmerged)) is None:
            return
        values = given_back(world, Customer, survivor_id, CUSTOMER)
        yield unmerged
        yield On(survivor_id, CustomerSeparated(merged_id=world.id, **values))


class MergeTicket(Command[Ticket]):
    """Say that a ticket asks for the same as another one, and is shown with it from now on.

    What `take` names the other one takes over; all else stays as it is there.
    """

    into: Reference[Ticket]
    take: Annotated[tuple[TicketPart, ...], Field(max_length=4)] = ()
    reason: Line

    example = {
        "into": "00000000-0000-4000-8000-000000000006",
        "take": ["priority"],
        "reason": "The requester wrote twice",
    }

    def decide_in(self, world: World, ticket: Ticket, /) -> Iterator[Event | On]:
        if ticket.status == "unknown":
            raise TicketUnknown
        into = TicketMerged(merged_into=self.into, taken=self.take, reason=self.reason)
        if ticket.merger == into:
            return
        survivor = world.load(Ticket, self.into)
        may_be_one(world, ticket, survivor, self.into)
        if survivor.status == "closed":
            raise TicketSealed
        values = taken(ticket, survivor, self.take, TICKET)
        yield into
        yield On(self.into, TicketAbsorbed(merged_id=world.id, **values))


class UnmergeTicket(Command[Ticket]):
    """Say that two tickets ask for two things: both are what they were before they were merged.

    What the other one took over goes back, but for what was changed there since: that stays, and
    is told as conflicts.
    """

    reason: Line

    example = {"reason": "Another invoice"}

    def decide_in(self, world: World, ticket: Ticket, /) -> Iterator[Event | On]:
        if ticket.status == "unknown":
            raise TicketUnknown
        unmerged = TicketUnmerged(reason=self.reason)
        if (survivor_id := must_be_merged(ticket, unmerged)) is None:
            return
        values = given_back(world, Ticket, survivor_id, TICKET)
        yield unmerged
        yield On(survivor_id, TicketSeparated(merged_id=world.id, **values))


def may_be_one(world: World, merged: Any, survivor: Any, survivor_id: UUID) -> None:
    """Refuse to merge what is merged, has others merged into it, or was forgotten."""
    kind = aggregate_of(type(merged))
    must_stand_alone(merged)
    if survivor_id == world.id:
        raise RecordMergedIntoItself(kind=kind)
    must_stand_alone(survivor)
    must_have_none_merged(merged)
    for id, state in ((world.id, merged), (survivor_id, survivor)):
        if _is_hidden(world, id, state):
            raise RecordHidden(kind=kind, id=id)


def _is_hidden(world: World, id: UUID, state: Any) -> bool:
    if id in world.load(Subject, subject_stream(id)).forgotten:
        return True
    known = (
        getattr(state, "name", None),
        state.custom_personal,
        getattr(state.opened, "title", None) if isinstance(state, Ticket) else None,
    )
    return any(value is HIDDEN for value in known)


def merged_into(state: Any, id: UUID) -> UUID:
    """The record that stands for one: that which it was merged into, or else itself."""
    return getattr(state.merger, "merged_into", id)


def must_stand_alone(state: Any) -> None:
    """Refuse what is asked of a record that was merged into another one."""
    if isinstance(state.merger, Merged):
        kind = aggregate_of(type(state))
        raise RecordIsMerged(kind=kind, merged_into=state.merger.merged_into)


def must_have_none_merged(state: Any) -> None:
    """Refuse what cannot be done to a record that others were merged into."""
    for id in state.absorbed:
        raise RecordHasMerged(kind=aggregate_of(type(state)), merged_id=id)


def must_be_merged(state: Any, unmerged: Event) -> UUID | None:
    """The survivor of a record that is merged; None if just this undid the merger."""
    if isinstance(state.merger, Merged):
        return state.merger.merged_into
    if state.merger != unmerged:
        raise RecordNotMerged(kind=aggregate_of(type(state)))
    return None


def taken(merged: Any, survivor: Any, take: Iterable[str], parts: Parts) -> dict[str, Any]:
    """The survivor's values with those it takes over; of mappings key by key."""
    own, given = parts_of(survivor, parts), parts_of(merged, parts)
    for part in take:
        both = isinstance(given[part], dict)
        own[part] = own[part] | given[part] if both else given[part]
    return fields_of(own, parts)


def given_back(
    world: World, of: type[State[Any]], survivor_id: UUID, parts: Parts
) -> dict[str, Any]:
    """The survivor's values without those of the merged one, and what stands against that."""
    survivor: Any = world.load(of, survivor_id)
    absorption = survivor.absorbed[world.id]
    now = parts_of(survivor, parts)
    aimed, against = undone(absorption.before, absorption.after, now)
    kind = aggregate_of(of)
    conflicts = tuple(Conflict(kind=kind, id=survivor_id, field=field) for field in against)
    return {**fields_of(aimed, parts), "conflicts": conflicts}
