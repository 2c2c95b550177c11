"""Will we still hear from this customer?"""

from __future__ import annotations

from datetime import timedelta
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from domain.activity import (
    ActivityCancelled,
    ActivityCompleted,
    ActivityKind,
    ActivityLogged,
    ActivityPlanned,
)
from domain.clock import ClockTicked
from domain.contact import ContactLinked
from domain.customer import (
    CustomerClosed,
    CustomerCreated,
    CustomerReactivated,
    CustomerRetracted,
    CustomerTierChanged,
)
from domain.deal import (
    DealAmountChanged,
    DealLinked,
    DealLost,
    DealOpened,
    DealReopened,
    DealRetracted,
    DealStageChanged,
    DealWon,
)
from domain.ticket import (
    TicketClosed,
    TicketOpened,
    TicketRated,
    TicketReopened,
    TicketRetracted,
    TicketSolved,
)
from learning.base import Ask, Label, Learner
from learning.customer_seen import WINDOW, CustomerSeen, Revenue, Waiting, took_part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from eventstore.envelope import RecordedEvent

ASKED_EVERY = timedelta(days=7)
QUIET_PARTS = 4
"""Of a quiet customer it is enough to ask again after a quarter of the time it has been quiet."""

DORMANT_AFTER = timedelta(days=365)
"""A customer nothing was heard of for so long is asked about no more, until something is."""

LEARNED_EVERY = timedelta(days=30)
"""The windows of two predictions that are learned from overlap by half at most: what more of them
would say is nearly the same again."""

PER_TICK_MAX = 1_000
"""Customers asked about, and outcomes learned, at one tick of the clock; the rest at the next."""


class CustomerHealth(Learner):
    """The chance that a customer is active in the next 60 days: talks with us, or comes to buy.

    Time moves by the clock of the log alone. A prediction is learned from at the first tick after
    its window, when all that was recorded of the window is known; so history brought in out of
    order teaches nothing wrong, and what it holds is learned from at the next tick.
    """

    name = "customer_health"
    subject_type = "customer"
    version = 1
    follows = (
        ClockTicked,
        CustomerCreated,
        CustomerTierChanged,
        CustomerClosed,
        CustomerReactivated,
        ContactLinked,
        DealOpened,
        DealLinked,
        DealStageChanged,
        DealAmountChanged,
        DealWon,
        DealLost,
        DealReopened,
        TicketOpened,
        TicketSolved,
        TicketClosed,
        TicketReopened,
        TicketRated,
        ActivityPlanned,
        ActivityLogged,
        ActivityCompleted,
        ActivityCancelled,
        CustomerRetracted,
        DealRetracted,
        TicketRetracted,
    )
    remembered_max = 12

    def __init__(self) -> None:
        self.customers: dict[UUID, CustomerSeen] = {}
        self.customer_of: dict[UUID, UUID] = {}  # of a contact, deal, ticket or planned activity
        self.planned: dict[UUID, ActivityKind] = {}
        self.maturing: list[tuple[datetime, UUID, int]] = []
        self.asking: list[tuple[datetime, UUID]] = []

    def observe(self, recorded: RecordedEvent) -> Iterator[Ask | Label]:
        """Ask after each event of a customer, and again when it is quiet; learn after windows."""
        if isinstance(recorded.event, ClockTicked):
            yield from self._learn(recorded.event.moment)
            yield from self._ask_again(recorded.event.moment, recorded.position)
            return
        customer_id = self._customer_of(recorded)
        if customer_id is None:
            return
        moment = recorded.occurred_at
        customer = self.customers.setdefault(customer_id, CustomerSeen(moment, moment, moment))
        customer.now = max(customer.now, moment)
        customer.heard_on = max(customer.heard_on, moment)
        self._evolve(customer, recorded)
        yield from self._ask(customer_id, customer, recorded.position)

    def _customer_of(self, recorded: RecordedEvent) -> UUID | None:
        """The customer an event is about, also if it names only a contact, deal or ticket."""
        event, stream_id = recorded.event, recorded.stream_id
        match event:
            case CustomerCreated() | CustomerTierChanged() | CustomerClosed():
                return stream_id
            case CustomerReactivated() | CustomerRetracted():
                return stream_id
            case DealLinked() | ContactLinked():
                found: UUID | None = event.customer_id
            case DealOpened() | TicketOpened():
                found = event.customer_id or self._known(event.contact_id)
            case ActivityPlanned() | ActivityLogged():
                found = event.customer_id or self._known(
                    event.deal_id, event.ticket_id, event.contact_id
                )
            case _:
                return self.customer_of.get(stream_id)
        if found and not isinstance(event, ActivityLogged):
            self.customer_of[stream_id] = found
        return found

    def _known(self, *ids: UUID | None) -> UUID | None:
        found = (self.customer_of.get(each) for each in ids if each)
        return next((customer_id for customer_id in found if customer_id), None)

    def _evolve(self, customer: CustomerSeen, recorded: RecordedEvent) -> None:
        event = recorded.event
        match event:
            case CustomerCreated():
                customer.closed = False
                customer.traits = {
                    "tier": event.tier,
                    "industry": event.industry,
                    "country": event.country,
                }
            case CustomerTierChanged():
                customer.traits["tier"] = event.tier
            case CustomerClosed() | CustomerRetracted():
                customer.closed = True
            case CustomerReactivated():
                customer.closed = False
                customer.was_active(recorded.occurred_at)
            case TicketOpened():
                customer.asked_for_help(recorded.stream_id, recorded.occurred_at)
            case TicketReopened():
                customer.open_tickets.add(recorded.stream_id)
            case TicketSolved() | TicketClosed() | TicketRetracted():
                customer.open_tickets.discard(recorded.stream_id)
            case TicketRated():
                customer.rated(event.rating)
            case _:
                self._evolve_by_activity(customer, recorded)
                self._evolve_by_deal(customer, recorded)

    def _evolve_by_activity(self, customer: CustomerSeen, recorded: RecordedEvent) -> None:
        event, activity_id = recorded.event, recorded.stream_id
        match event:
            case ActivityPlanned():
                self.planned[activity_id] = event.kind
            case ActivityLogged():
                if took_part(event.kind, event.direction, event.outcome):
                    customer.was_active(recorded.occurred_at)
            case ActivityCompleted():
                kind = self.planned.pop(activity_id, "task")
                if took_part(kind, None, event.outcome):
                    customer.was_active(recorded.occurred_at)
                self.customer_of.pop(activity_id, None)
            case ActivityCancelled():
                self.planned.pop(activity_id, None)
                self.customer_of.pop(activity_id, None)
            case _:
                pass

    def _evolve_by_deal(self, customer: CustomerSeen, recorded: RecordedEvent) -> None:
        """Whatever happens to a deal is the customer at work, but for its loss."""
        event, deal_id, moment = recorded.event, recorded.stream_id, recorded.occurred_at
        match event:
            case DealOpened() | DealStageChanged() | DealAmountChanged():
                customer.deals.setdefault(deal_id, "open")
                customer.was_active(moment)
            case DealLinked():
                if event.previous_customer_id in self.customers:
                    self.customers[event.previous_customer_id].deals.pop(deal_id, None)
                customer.deals[deal_id] = "open"
            case DealWon():
                customer.deals[deal_id] = "won"
                customer.won[deal_id] = Revenue(moment, event.currency, float(event.amount))
                customer.was_active(moment)
            case DealReopened():
                customer.deals[deal_id] = "open"
                customer.won.pop(deal_id, None)
                customer.was_active(moment)
            case DealLost():
                customer.deals[deal_id] = "lost"
            case DealRetracted():
                customer.deals.pop(deal_id, None)
                customer.won.pop(deal_id, None)
            case _:
                pass

    def _ask(self, customer_id: UUID, customer: CustomerSeen, position: int) -> Iterator[Ask]:
        if customer.closed:
            return
        now, last = customer.now, customer.remembered_on
        due = last is None or now - last >= LEARNED_EVERY
        remember = due and len(customer.waiting) < self.remembered_max
        if remember:
            customer.remembered_on = now
            customer.waiting.append(Waiting(now, position))
            heappush(self.maturing, (now + WINDOW, customer_id, position))
        again = now + max(ASKED_EVERY, (now - customer.heard_on) / QUIET_PARTS)
        if customer.ask_next is None:
            heappush(self.asking, (again, customer_id))
        customer.ask_next = again
        yield Ask(customer_id, customer.features(), remember)

    def _ask_again(self, moment: datetime, position: int) -> Iterator[Ask]:
        """Ask about customers nothing was heard of for a while: what they do not do counts too."""
        for _ in range(PER_TICK_MAX):
            if not self.asking or self.asking[0][0] > moment:
                return
            _, customer_id = heappop(self.asking)
            customer = self.customers[customer_id]
            if customer.ask_next and customer.ask_next > moment:
                heappush(self.asking, (customer.ask_next, customer_id))
                continue
            customer.ask_next = None
            customer.now = max(customer.now, moment)
            if moment - customer.heard_on < DORMANT_AFTER:
                yield from self._ask(customer_id, customer, position)

    def _learn(self, moment: datetime) -> Iterator[Label]:
        for _ in range(PER_TICK_MAX):
            if not self.maturing or self.maturing[0][0] > moment:
                return
            _, customer_id, asked_at = heappop(self.maturing)
            customer = self.customers[customer_id]
            matured = next(each for each in customer.waiting if each.asked_at == asked_at)
            customer.waiting.remove(matured)
            yield Label(customer_id, matured.active, asked_at)
