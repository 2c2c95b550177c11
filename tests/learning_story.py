"""Histories for learners to follow: leads and customers that behave in a way one can learn."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from domain.activity import ActivityLogged
from domain.base import HIDDEN
from domain.clock import CLOCK, ClockTicked
from domain.custom_fields import CustomFieldsDeclared, custom_fields_id
from domain.customer import CustomerCreated
from domain.lead import (
    LeadAssigned,
    LeadCaptured,
    LeadConverted,
    LeadDisqualified,
    LeadEngaged,
    LeadQualified,
    LeadRecycled,
)
from eventstore.envelope import NewEvent, RecordedEvent
from learning.base import Training
from learning.follower import listen
from learning.lead_conversion import LeadConversion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from domain.base import Event

START = datetime(2024, 1, 1, 9, tzinfo=UTC)
SPACE = UUID(int=99)
OWNER = UUID(int=5)
DAY = timedelta(days=1)
Happening = tuple[UUID, "Event", datetime]

VISITS = CustomFieldsDeclared(
    aggregate="lead",
    name="visits",
    field_type="integer",
    unit=None,
    personal=False,
    description="Visits to the web site.",
)


def lead_id(number: int) -> UUID:
    return uuid5(SPACE, f"lead {number}")


def captured(*, source: str = "website", visits: int | None = None, hidden: bool = False):
    """A lead; without the keys of the workspace a learner sees it `hidden`."""
    return LeadCaptured(
        name=HIDDEN if hidden else "Ann Example",
        email=HIDDEN if hidden else "ann@example.com",
        phone=None,
        email_kind="business",
        has_phone=False,
        company=None,
        title="Head of Sales",
        country="GB",
        source=source,
        campaign_id=None,
        custom={} if visits is None else {"visits": visits},
        custom_personal=HIDDEN if hidden else {},
    )


def engaged(kind: str, number: int = 1) -> LeadEngaged:
    return LeadEngaged(kind=kind, engagements=number, note="")


QUALIFIED = LeadQualified(budget=3, authority=3, need=4, timeline=2, evidence="")
DISQUALIFIED = LeadDisqualified(reason="no_budget", note="")
RECYCLED = LeadRecycled(reason="New year", conflicts=())
CONVERTED = LeadConverted(
    customer_id=UUID(int=1), contact_id=UUID(int=2), deal_id=None, made=(), role=None
)
ASSIGNED = LeadAssigned(owner=OWNER, previous_owner=None)


def leads(count: int, *, seed: int = 1, hidden: bool = False) -> Iterator[Happening]:
    """Leads that convert the more readily the more visits they made, and if they were referred."""
    chance = Random(seed)  # noqa: S311 - the same every time
    yield custom_fields_id("lead"), VISITS, START
    waiting: list[tuple[UUID, list[Event]]] = []
    for number in range(count):
        now = START + number * DAY / 4
        lead, source = lead_id(number), chance.choice(["website", "referral", "fair"])
        visits = chance.choice([None, *range(20)])
        yield lead, captured(source=source, visits=visits, hidden=hidden), now
        steps: list[Event] = [ASSIGNED] if chance.random() < 0.5 else []
        kinds = [chance.choice(["call", "reply"]) for _ in range(chance.randrange(8))]
        steps += [engaged(kind, nth + 1) for nth, kind in enumerate(kinds)]
        odds = (visits or 0) / 20 + 0.3 * (source == "referral")
        steps.append(CONVERTED if chance.random() < odds else DISQUALIFIED)
        if steps[-1] is DISQUALIFIED and chance.random() < 0.1:
            steps += [RECYCLED, engaged("reply"), CONVERTED]
        waiting.append((lead, steps))
        for _ in range(4):
            lead, steps = chance.choice(waiting)
            yield lead, steps.pop(0), now
            if not steps:
                waiting.remove((lead, steps))
            if not waiting:
                break


def customer_created(tier: str = "standard") -> CustomerCreated:
    return CustomerCreated(
        name="Example Ltd",
        website=None,
        tier=tier,
        industry=None,
        country=None,
        currency=None,
        employees=None,
        annual_revenue=None,
        parent_id=None,
        owner=None,
        custom={},
        custom_personal={},
    )


def call(customer_id: UUID, outcome: str = "reached") -> ActivityLogged:
    return ActivityLogged(
        kind="call",
        title=None,
        customer_id=customer_id,
        contact_id=None,
        lead_id=None,
        deal_id=None,
        ticket_id=None,
        owner=OWNER,
        direction="outbound",
        outcome=outcome,
        duration_minutes=None,
        note="",
    )


def tick(moment: datetime) -> Happening:
    return CLOCK, ClockTicked(moment=moment), moment


def customers(count: int, days: int, *, seed: int = 1) -> Iterator[Happening]:
    """Customers some of whom talk with us every week and some hardly ever; a tick a day."""
    chance = Random(seed)  # noqa: S311 - the same every time
    habits = [chance.choice([0.005, 0.15]) for _ in range(count)]
    for number in range(count):
        yield uuid5(SPACE, f"customer {number}"), customer_created(), START
    for day in range(1, days):
        now = START + day * DAY
        for number, habit in enumerate(habits):
            if chance.random() < habit:
                activity = uuid5(SPACE, f"call {day} {number}")
                yield activity, call(uuid5(SPACE, f"customer {number}")), now - DAY / 2
        yield tick(now)


def as_new(happenings: Iterable[Happening], chapter: str = "") -> Iterator[NewEvent]:
    """Events on their way into a log, with ids that are the same every time."""
    versions: dict[UUID, int] = {}
    for number, (stream_id, event, moment) in enumerate(happenings, start=1):
        version = versions[stream_id] = versions.get(stream_id, 0) + 1
        event_id = uuid5(SPACE, f"event {chapter}{number}")
        yield NewEvent(event_id, stream_id, version, moment, OWNER, event_id, None, event)


def as_recorded(happenings: Iterable[Happening]) -> Iterator[RecordedEvent]:
    """Events as a log would hold them."""
    for position, new in enumerate(as_new(happenings), start=1):
        yield RecordedEvent(
            event_id=new.event_id,
            stream_id=new.stream_id,
            version=new.version,
            occurred_at=new.occurred_at,
            actor=new.actor,
            correlation_id=new.correlation_id,
            causation_id=None,
            event=new.event,
            position=position,
            recorded_at=START + 1000 * DAY,
        )


def main() -> None:
    """Print what is said of some leads, to be compared between processes."""
    for said in listen(Training(LeadConversion()), as_recorded(leads(int(sys.argv[1])))):
        print(said.event.model_dump_json())  # noqa: T201


if __name__ == "__main__":
    main()
