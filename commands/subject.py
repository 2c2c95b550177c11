"""How a person is forgotten, and what keeps one from being forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from commands.base import Command, On, World
from commands.merger import merged_into
from domain.activity import Activity
from domain.base import State
from domain.contact import Contact, ContactUnknown
from domain.customer import Customer, CustomerUnknown
from domain.deal import Deal
from domain.lead import Lead, LeadUnknown
from domain.subject import (
    Subject,
    SubjectForgotten,
    SubjectHeld,
    SubjectIsHeld,
    SubjectNotHeld,
    SubjectReleased,
    subject_stream,
)
from domain.ticket import Ticket, TicketUnknown
from domain.user import User, UserStillActive, UserUnknown
from domain.values import NIL, Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eventstore.naming import Naming

Records = dict[UUID, type[State[Any]]]

NAMED: Mapping[str, type[State[Any]]] = {
    "customer_id": Customer,
    "contact_id": Contact,
    "lead_id": Lead,
    "deal_id": Deal,
    "ticket_id": Ticket,
}
"""What a lead, a ticket or an activity says it is about."""


class ForgetLead(Command[Lead]):
    """Forget the person behind a lead, with all that is recorded about them, for good.

    What was taken back is forgotten like all else: its events are still there.
    """

    reason: Line

    example = {"reason": "Asked for by e-mail on 3 March"}

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[On]:
        if lead.status == "unknown" and not world.begun:
            raise LeadUnknown
        roots: Records = {world.id: Lead}
        if lead.conversion:
            roots[lead.conversion.contact_id] = Contact
        return forgotten(world, roots, self.reason)


class ForgetCustomer(Command[Customer]):
    """Forget all persons known only through a customer, and all that is recorded about them.

    Contacts who play a role at another customer stay; forget them by themselves. What is no
    person's, such as names of companies, stages and amounts, stays, and so do all totals.
    """

    reason: Line

    example = {"reason": "Asked for by letter on 3 March"}

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[On]:
        if customer.status == "unknown" and not world.begun:
            raise CustomerUnknown
        return forgotten(world, {world.id: Customer}, self.reason)


class ForgetContact(Command[Contact]):
    """Forget a contact, the lead it was, and all that is recorded about the person, for good."""

    reason: Line

    example = {"reason": "Asked for by e-mail on 3 March"}

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[On]:
        if contact.status == "unknown" and not world.begun:
            raise ContactUnknown
        return forgotten(world, {world.id: Contact}, self.reason)


class ForgetTicket(Command[Ticket]):
    """Forget what was written in a ticket, and the activities about it, for good."""

    reason: Line

    example = {"reason": "Holds a health record sent by mistake"}

    def decide_in(self, world: World, ticket: Ticket, /) -> Iterator[On]:
        if ticket.status == "unknown" and not world.begun:
            raise TicketUnknown
        return forgotten(world, {world.id: Ticket}, self.reason)


class ForgetUser(Command[User]):
    """Forget name and e-mail address of a user who left; the handle and what was done stay."""

    reason: Line

    example = {"reason": "Ten years after leaving"}

    def decide_in(self, world: World, user: User, /) -> Iterator[On]:
        if user.status == "unknown" and not world.begun:
            raise UserUnknown
        if user.status == "active":
            raise UserStillActive
        return forgotten(world, {world.id: User}, self.reason)


class PlaceLeadLegalHold(Command[Lead]):
    """Keep what is known of a lead for a matter: it cannot be forgotten until released."""

    matter: Line

    example = {"matter": "Case 2026-17"}

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[On]:
        if lead.status == "unknown":
            raise LeadUnknown
        return held(world, self.matter)


class PlaceCustomerLegalHold(Command[Customer]):
    """Keep what is known of a customer, its contacts and tickets included, for a matter."""

    matter: Line

    example = {"matter": "Case 2026-17"}

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[On]:
        if customer.status == "unknown":
            raise CustomerUnknown
        return held(world, self.matter)


class PlaceContactLegalHold(Command[Contact]):
    """Keep what is known of a contact for a matter: it cannot be forgotten until released."""

    matter: Line

    example = {"matter": "Case 2026-17"}

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[On]:
        if contact.status == "unknown":
            raise ContactUnknown
        return held(world, self.matter)


class ReleaseLeadLegalHold(Command[Lead]):
    """End a hold: the matter no longer needs what is known of the lead."""

    matter: Line

    example = {"matter": "Case 2026-17"}

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[On]:
        if lead.status == "unknown":
            raise LeadUnknown
        return released(world, self.matter)


class ReleaseCustomerLegalHold(Command[Customer]):
    """End a hold: the matter no longer needs what is known of the customer."""

    matter: Line

    example = {"matter": "Case 2026-17"}

    def decide_in(self, world: World, customer: Customer, /) -> Iterator[On]:
        if customer.status == "unknown":
            raise CustomerUnknown
        return released(world, self.matter)


class ReleaseContactLegalHold(Command[Contact]):
    """End a hold: the matter no longer needs what is known of the contact."""

    matter: Line

    example = {"matter": "Case 2026-17"}

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[On]:
        if contact.status == "unknown":
            raise ContactUnknown
        return released(world, self.matter)


def held(world: World, matter: str) -> Iterator[On]:
    """A hold on the record the command was sent to."""
    stream = subject_stream(world.id)
    if matter not in world.load(Subject, stream).matters:
        yield On(stream, SubjectHeld(record_id=world.id, matter=matter))


def released(world: World, matter: str) -> Iterator[On]:
    """The end of a hold on the record the command was sent to."""
    stream = subject_stream(world.id)
    if matter not in world.load(Subject, stream).matters:
        raise SubjectNotHeld(matter=matter)
    yield On(stream, SubjectReleased(record_id=world.id, matter=matter))


def forgotten(
    world: World,
    roots: Records,
    reason: str,
    spare: Callable[[World, Records], None] = lambda *_: None,
) -> Iterator[On]:
    """The keys of all that is known only through some records, destroyed, unless one is held.

    `spare` raises what else speaks for keeping them.
    """
    stream = subject_stream(world.id)
    records, above = reach(world, roots)
    if world.load(Subject, stream).forgotten.issuperset(records):
        return
    must_not_be_held(world, above.union(records))
    spare(world, records)
    keys = {key_id(world, id, of) for id, of in records.items()}
    yield On(
        stream,
        SubjectForgotten(
            record_id=world.id,
            reason=reason,
            key_ids=tuple(sorted(keys)),
            record_ids=tuple(sorted(records)),
        ),
    )


def key_id(world: World, id: UUID, of: type[State[Any]]) -> UUID:
    """By whose key the personal fields of a record are sealed.

    A contact that was taken back no longer says whether it was a lead before. If it was, the key
    is the lead's, and goes with the lead.
    """
    person = world.load(Contact, id).person_id if of is Contact else id
    return id if person == NIL else person


def must_not_be_held(world: World, ids: set[UUID]) -> None:
    """Refuse to forget what a matter needs."""
    for naming in world.naming(frozenset(ids)):
        if naming.of is Subject:
            subject = world.load(Subject, naming.stream_id)
            for matter in sorted(subject.matters):
                raise SubjectIsHeld(id=subject.record_id, matter=matter)


def reach(world: World, roots: Records) -> tuple[Records, set[UUID]]:
    """The records that go with some, and the others that these name: those they are about."""
    found: Records = {}
    above: set[UUID] = set()
    new = roots
    while new:
        found |= new
        persons = {world.load(Contact, id).person_id for id, of in new.items() if of is Contact}
        new = {id: Lead for id in persons - found.keys() if world.load(Lead, id).captured}
        for naming in world.naming(frozenset(found)):
            if naming.stream_id in found or _goes_along(world, naming, found):
                above |= naming.names
                new |= {naming.stream_id: naming.of} if naming.stream_id not in found else {}
    for id, of in found.items():
        above |= _above(world, id, of)
    return found, above - found.keys()


def _above(world: World, id: UUID, of: type[State[Any]]) -> set[UUID]:
    """Whom a record is about, and whom these are about, by their own events."""
    above: set[UUID] = set()
    for about, kind in _about(world, id, of):
        above |= {about} | _above(world, about, kind)
    return above


def _about(world: World, id: UUID, of: type[State[Any]]) -> Iterator[tuple[UUID, type[State[Any]]]]:
    """What a record names, and what that is; not the lead a contact was: it is the same person."""
    named: Any = None
    if of is Contact:
        yield from ((customer, Customer) for customer in customers(world, id))
    if of is Lead:
        named = world.load(Lead, id).conversion
    if of is Deal and (customer_id := world.load(Deal, id).customer_id):
        yield customer_id, Customer
    if of is Ticket:
        named = world.load(Ticket, id).opened
    if of is Activity:
        named = world.load(Activity, id).recorded
    for field, kind in NAMED.items():
        if about := getattr(named, field, None):
            yield about, kind


def _goes_along(world: World, naming: Naming, found: Mapping[UUID, Any]) -> bool:
    """Whether a record that names some of `found` is known only through them."""
    id = naming.stream_id
    if naming.of in {Contact, Customer, Ticket} and naming.fields.keys() & MERGING:
        return not found.keys().isdisjoint(one_with(world, naming.of, id))
    if naming.of is Contact:
        return world.load(Contact, id).person_id in found or found.keys() >= customers(world, id)
    if naming.of is Lead:
        if (conversion := world.load(Lead, id).conversion) is None:
            return False  # it was taken back
        contact_id = conversion.contact_id
        return contact_id in found or found.keys() >= customers(world, contact_id)
    if naming.of is Deal:
        opened = world.load(Deal, id).opened
        return (opened and opened.contact_id) in found or world.load(Deal, id).customer_id in found
    return naming.of in {Activity, Ticket}


MERGING = frozenset(("merged_id", "merged_into"))
"""Fields by which records that are one name each other."""


def one_with(world: World, of: type[State[Any]], id: UUID) -> set[UUID]:
    """The records that are one with some record now: merged into it, or it into them."""
    survivor = merged_into(world.load(of, id), id)
    state: Any = world.load(of, survivor)
    return {survivor, *state.absorbed} - {id}


def customers(world: World, contact_id: UUID) -> set[UUID]:
    """Customers where a contact plays a role, as whichever of those it is one with."""
    ids = {contact_id, *one_with(world, Contact, contact_id)}
    return {customer for id in ids for customer in world.load(Contact, id).customers()}
