"""How a person is forgotten, and what keeps one from being forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.base import Command, On, World
from commands.reach import key_id, reach
from domain.contact import Contact, ContactUnknown
from domain.customer import Customer, CustomerUnknown
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
from domain.values import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from commands.base import Known
    from commands.reach import Records


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
    world: Known,
    roots: Records,
    reason: str,
    spare: Callable[[Known, Records], None] = lambda *_: None,
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


def must_not_be_held(world: Known, ids: set[UUID]) -> None:
    """Refuse to forget what a matter needs."""
    for naming in world.naming(frozenset(ids)):
        if naming.of is Subject:
            subject = world.load(Subject, naming.stream_id)
            for matter in sorted(subject.matters):
                raise SubjectIsHeld(id=subject.record_id, matter=matter)
