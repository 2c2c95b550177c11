"""How far a person reaches: the records that are known only through some others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from commands.merger import merged_into
from domain.activity import Activity
from domain.base import State
from domain.contact import Contact
from domain.customer import Customer
from domain.deal import Deal
from domain.lead import Lead
from domain.ticket import Ticket
from domain.values import NIL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from commands.base import Known
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


def reach(known: Known, roots: Records) -> tuple[Records, set[UUID]]:
    """The records that go with some, and the others that these name: those they are about."""
    found: Records = {}
    above: set[UUID] = set()
    new = roots
    while new:
        found |= new
        persons = {known.load(Contact, id).person_id for id, of in new.items() if of is Contact}
        new = {id: Lead for id in persons - found.keys() if known.load(Lead, id).captured}
        for naming in known.naming(frozenset(found)):
            if naming.stream_id in found or _goes_along(known, naming, found):
                above |= naming.names
                new |= {naming.stream_id: naming.of} if naming.stream_id not in found else {}
    for id, of in found.items():
        above |= _above(known, id, of)
    return found, above - found.keys()


def _above(known: Known, id: UUID, of: type[State[Any]]) -> set[UUID]:
    """Whom a record is about, and whom these are about, by their own events."""
    above: set[UUID] = set()
    for about, kind in _about(known, id, of):
        above |= {about} | _above(known, about, kind)
    return above


def _about(known: Known, id: UUID, of: type[State[Any]]) -> Iterator[tuple[UUID, type[State[Any]]]]:
    """What a record names, and what that is; not the lead a contact was: it is the same person."""
    named: Any = None
    if of is Contact:
        yield from ((customer, Customer) for customer in customers(known, id))
    if of is Lead:
        named = known.load(Lead, id).conversion
    if of is Deal and (customer_id := known.load(Deal, id).customer_id):
        yield customer_id, Customer
    if of is Ticket:
        named = known.load(Ticket, id).opened
    if of is Activity:
        named = known.load(Activity, id).recorded
    for field, kind in NAMED.items():
        if about := getattr(named, field, None):
            yield about, kind


def _goes_along(known: Known, naming: Naming, found: Mapping[UUID, Any]) -> bool:
    """Whether a record that names some of `found` is known only through them."""
    id = naming.stream_id
    if naming.of in {Contact, Customer, Ticket} and naming.fields.keys() & MERGING:
        return not found.keys().isdisjoint(one_with(known, naming.of, id))
    if naming.of is Contact:
        return known.load(Contact, id).person_id in found or found.keys() >= customers(known, id)
    if naming.of is Lead:
        if (conversion := known.load(Lead, id).conversion) is None:
            return False  # it was taken back
        contact_id = conversion.contact_id
        return contact_id in found or found.keys() >= customers(known, contact_id)
    if naming.of is Deal:
        opened = known.load(Deal, id).opened
        return (opened and opened.contact_id) in found or known.load(Deal, id).customer_id in found
    return naming.of in {Activity, Ticket}


MERGING = frozenset(("merged_id", "merged_into"))
"""Fields by which records that are one name each other."""


def one_with(known: Known, of: type[State[Any]], id: UUID) -> set[UUID]:
    """The records that are one with some record now: merged into it, or it into them."""
    survivor = merged_into(known.load(of, id), id)
    state: Any = known.load(of, survivor)
    return {survivor, *state.absorbed} - {id}


def customers(known: Known, contact_id: UUID) -> set[UUID]:
    """Customers where a contact plays a role, as whichever of those it is one with."""
    ids = {contact_id, *one_with(known, Contact, contact_id)}
    return {customer for id in ids for customer in known.load(Contact, id).customers()}


def key_id(known: Known, id: UUID, of: type[State[Any]]) -> UUID:
    """By whose key the personal fields of a record are sealed.

    A contact that was taken back no longer says whether it was a lead before. If it was, the key
    is the lead's, and goes with the lead.
    """
    person = known.load(Contact, id).person_id if of is Contact else id
    return id if person == NIL else person
