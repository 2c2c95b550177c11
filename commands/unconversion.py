"""How the conversion of a lead is taken back, as far as nothing has come of it since."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from commands.base import Command, On, World
from commands.contact import RetractContact
from commands.customer import RetractCustomer
from commands.deal import RetractDeal
from commands.lead import known
from domain.base import HIDDEN, Event, State, aggregate_of, fold
from domain.contact import Contact, ContactLinked, ContactUnlinked
from domain.customer import Customer
from domain.deal import Deal
from domain.lead import (
    Lead,
    LeadConverted,
    LeadEmailTaken,
    LeadNotConverted,
    LeadUnconverted,
    email_of_lead,
)
from domain.undo import Conflict
from domain.values import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from eventstore.naming import Naming


class UnconvertLead(Command[Lead]):
    """Take a conversion back: the lead is what it was before.

    The customer, the contact and the deal that it made are taken back with it, but for those that
    were changed since, or that others refer to: these stay with all they refer to, and what stands
    against it is told as conflicts. What was there before the conversion stays.
    """

    reason: Line

    example = {"reason": "Converted the wrong Ann Example"}

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[Event | On]:
        known(lead)
        conversion = lead.conversion
        if conversion is None:
            if lead.unconversion and lead.unconversion.reason == self.reason:
                return
            raise LeadNotConverted(status=lead.status)
        address = email_of_lead(lead.email) if lead.email and lead.email is not HIDDEN else None
        holder = world.holder(*address) if address else None
        if holder not in {None, world.id}:
            raise LeadEmailTaken(lead_id=holder)
        made = Made.by(world, conversion)
        for id, state in made.states.items():
            if id not in made.kept and state != type(state)():
                retract: Command[Any] = RETRACT[type(state)](reason=self.reason)
                decided = retract.decide(state)
                yield from (On(id, event) for event in decided if isinstance(event, Event))
        if made.linked and conversion.customer_id not in made.kept:
            unlinked = ContactUnlinked(customer_id=conversion.customer_id, until=None)
            yield On(conversion.contact_id, unlinked)
        yield LeadUnconverted(
            to_status="qualified" if lead.qualification else "open",
            reason=self.reason,
            conflicts=tuple(dict.fromkeys(made.conflicts)),
        )


RETRACT: dict[type[State[Any]], Callable[..., Command[Any]]] = {
    Deal: RetractDeal,
    Contact: RetractContact,
    Customer: RetractCustomer,
}


@dataclass
class Made:
    """What a conversion made, and what of it has to stay."""

    conversion: LeadConverted
    states: dict[UUID, State[Any]]
    """Those it made, by their ids: what refers to others comes first."""
    linked: bool = False
    """Whether a contact who was there before still plays the role that the conversion gave."""
    kept: set[UUID] = field(default_factory=set)
    conflicts: list[Conflict] = field(default_factory=list)

    @classmethod
    def by(cls, world: World, conversion: LeadConverted) -> Made:
        """What came of a conversion, as it is now."""
        of = (
            (conversion.deal_id, Deal),
            (conversion.contact_id, Contact),
            (conversion.customer_id, Customer),
        )
        states = {id: world.load(kind, id) for id, kind in of if id in conversion.made}
        made = cls(conversion, states)
        for id, state in states.items():
            made.compare(id, state)
        if conversion.role and conversion.contact_id not in states:
            made.see_role(world.load(Contact, conversion.contact_id))
        for naming in world.naming(frozenset(states)) if states else ():
            own = {world.id, conversion.contact_id, conversion.customer_id, conversion.deal_id}
            if naming.stream_id not in own and refers(world, naming):
                made.refer(naming)
        made.keep_what_is_referred_to()
        return made

    def compare(self, id: UUID, state: State[Any]) -> None:
        """Keep a record that is not as the conversion left it."""
        begun = as_begun(state, self.conversion)
        names = [one.name for one in fields(state)]  # type: ignore[arg-type]
        changed = [name for name in names if getattr(state, name) != getattr(begun, name)]
        if state != type(state)() and changed:
            self.kept.add(id)
            self.against(type(state), id, *changed)

    def see_role(self, contact: Contact) -> None:
        """Look at the role that a contact who was there before came to play."""
        link = contact.links.get(self.conversion.customer_id)
        self.linked = link == link_of(self.conversion)
        if isinstance(link, ContactLinked) and not self.linked:
            self.kept.add(self.conversion.customer_id)
            self.against(Contact, self.conversion.contact_id, "role")

    def refer(self, naming: Naming) -> None:
        """Keep what a record refers to that the conversion has nothing to do with."""
        for name, id in naming.fields.items():
            if id in self.states and self.states[id] != type(self.states[id])():
                self.kept.add(id)
                self.against(naming.of, naming.stream_id, name)

    def keep_what_is_referred_to(self) -> None:
        """What stays does not refer to what is gone."""
        if self.conversion.deal_id in self.kept:
            self.kept.add(self.conversion.contact_id)
        if self.conversion.contact_id in self.kept:
            self.kept.add(self.conversion.customer_id)

    def against(self, of: type[State[Any]], id: UUID, *names: str) -> None:
        """Note what stands against the undo."""
        kind = aggregate_of(of)
        self.conflicts += [Conflict(kind=kind, id=id, field=name) for name in names]


def as_begun(state: State[Any], conversion: LeadConverted) -> State[Any]:
    """A record as it was when the conversion had made it."""
    if isinstance(state, Deal) and state.opened:
        return fold(Deal(), [state.opened])
    if isinstance(state, Contact) and state.created and conversion.role:
        return fold(Contact(), [state.created, link_of(conversion)])
    if isinstance(state, Customer) and state.created:
        return fold(Customer(), [state.created])
    return type(state)()


def link_of(conversion: LeadConverted) -> ContactLinked:
    """The role that the contact came to play by a conversion."""
    given = {"customer_id": conversion.customer_id, "role": conversion.role, "since": None}
    return ContactLinked.model_validate(given)


def refers(world: World, naming: Naming) -> bool:
    """Whether a record that named others is there, and still refers to them."""
    state = world.load(naming.of, naming.stream_id)
    match state:
        case Lead():
            return state.conversion is not None
        case Contact():
            return not naming.names.isdisjoint(state.customers())
    return state != type(state)()
