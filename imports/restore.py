"""What a record is to be when a run is taken back, and what cannot be taken back with it.

What has happened to somebody, such as an engagement, a reply or a conversion, cannot be undone by
a change; `left` names the fields that stay as they are.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from commands.activity import RetractActivity
from commands.campaign import RetractCampaign
from commands.contact import RetractContact
from commands.customer import RetractCustomer
from commands.deal import RetractDeal
from commands.lead import RetractLead
from commands.pipeline import RetractPipeline
from commands.ticket import RetractTicket
from commands.user import RetractUser
from domain.activity import Activity
from domain.base import Event, State, fold
from domain.campaign import (
    Campaign,
    CampaignMember,
    CampaignMemberAdded,
    CampaignMemberRetracted,
)
from domain.contact import Contact, ContactConsentGranted, ContactLinked
from domain.customer import Customer
from domain.deal import Deal
from domain.lead import Lead
from domain.pipeline import Pipeline
from domain.ticket import Ticket
from domain.undo import undone
from domain.user import User
from imports.backwards import REASON, RESTORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from commands.base import Command

RETRACT: dict[type[State[Any]], Callable[..., Command[Any]]] = {
    Lead: RetractLead,
    Customer: RetractCustomer,
    Contact: RetractContact,
    Pipeline: RetractPipeline,
    Deal: RetractDeal,
    Activity: RetractActivity,
    Ticket: RetractTicket,
    Campaign: RetractCampaign,
    User: RetractUser,
}

TOGETHER = (
    ("status", "qualification", "disqualification"),
    ("status", "stage", "probability", "turn"),
    ("amount", "currency"),
    ("team", "manager_id"),
    ("status", "hold_reason"),
    ("name", "stages"),
)
"""Fields that mean something only with each other."""

KEPT_EVENTS = frozenset(
    "captured recycling qualification disqualification conversion unconversion created turn "
    "archived opened solution reopening rated recorded completion cancellation planned pause "
    "registered defined revision probability".split()
)
"""Fields of states that only keep what something came from."""


def retracting(state: State[Any], past: Sequence[Event]) -> Iterator[Any]:
    """The events that take a record back; `past` are all of its events."""
    if isinstance(state, CampaignMember):
        made = next(event for event in past if isinstance(event, CampaignMemberAdded))
        ids = {"campaign_id": made.campaign_id, "member_id": made.member_id}
        return iter([CampaignMemberRetracted(**ids, reason=REASON)])
    return RETRACT[type(state)](reason=REASON).decide(state)


def aim(
    before: State[Any], after: State[Any], now: State[Any]
) -> tuple[State[Any], tuple[str, ...]]:
    """What a record is to be: as `before` where it is as the run left it (`after`).

    And the fields that the run changed and somebody else since.
    """
    was, made, is_ = (
        {field.name: getattr(state, field.name) for field in fields(now)}  # type: ignore[arg-type]
        for state in (before, after, now)
    )
    back, against = undone(was, made, is_, TOGETHER)
    taken = tuple(name for name in against if name.split(".")[0] not in KEPT_EVENTS)
    return replace(now, **back), taken  # type: ignore[type-var]


def left(now: State[Any], aimed: State[Any], events: Sequence[Event]) -> tuple[str, ...]:
    """The fields that stay otherwise than aimed at, once these events have happened."""
    then = fold(now, events)
    names = [f.name for f in fields(now) if f.name not in KEPT_EVENTS]  # type: ignore[arg-type]
    return tuple(n for n in names if _plain(n, then) != _plain(n, aimed))


def _plain(name: str, state: Any) -> Any:
    value = getattr(state, name)
    if name == "links":
        return {c for c, link in value.items() if isinstance(link, ContactLinked)}
    if name == "consents":
        return {c for c, consent in value.items() if isinstance(consent, ContactConsentGranted)}
    return value


def restoring(now: Any, aimed: Any, past: Sequence[Event]) -> list[Event]:
    """The events that lead from `now` to what is aimed at; `past` is what led there before."""
    if now == aimed or type(now) not in RESTORE:
        return []
    return list(RESTORE[type(now)](now, aimed, past))
