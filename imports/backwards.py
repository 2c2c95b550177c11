"""What leads a record of each kind back to what it was: events, as far as there are any for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.activity import Activity, ActivityAssigned, ActivityRescheduled
from domain.base import Event, State
from domain.campaign import (
    Campaign,
    CampaignMember,
    CampaignMemberAdded,
    CampaignMemberRemoved,
    CampaignPaused,
    CampaignResumed,
    CampaignScheduled,
)
from domain.contact import (
    Contact,
    ContactConsentWithdrawn,
    ContactCustomFieldsSet,
    ContactEmailChanged,
    ContactPhoneChanged,
    ContactRenamed,
    ContactTitleChanged,
    ContactUnlinked,
)
from domain.customer import (
    Customer,
    CustomerAssigned,
    CustomerClosed,
    CustomerCustomFieldsSet,
    CustomerPreferencesSet,
    CustomerReactivated,
    CustomerRenamed,
    CustomerTierChanged,
)
from domain.deal import (
    Deal,
    DealAmountChanged,
    DealAssigned,
    DealCloseDateChanged,
    DealCustomFieldsSet,
    DealLinked,
    DealLost,
    DealMove,
    DealOpened,
    DealReopened,
    DealStageChanged,
    DealWon,
)
from domain.lead import (
    Lead,
    LeadAssigned,
    LeadCustomFieldsSet,
    LeadRecycled,
    LeadUnconverted,
)
from domain.pipeline import Pipeline, PipelineRevised
from domain.ticket import (
    Ticket,
    TicketAssigned,
    TicketCategorized,
    TicketCustomFieldsSet,
    TicketPriorityChanged,
    TicketPutOnHold,
    TicketPutPending,
    TicketResumed,
)
from domain.user import User, UserDeactivated, UserReactivated, UserTeamChanged
from domain.values import email_kind, title_level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


REASON = "Import taken back"


def _lead(now: Lead, to: Lead, _: Sequence[Event]) -> Iterator[Event]:
    status = now.status
    if status == "converted" and to.status != "converted":
        status = "qualified" if now.qualification else "open"
        yield LeadUnconverted(to_status=status, reason=REASON, conflicts=())
    moved = (status, now.qualification, now.disqualification) != (
        *(to.status, to.qualification, to.disqualification),
    )
    if moved and "converted" not in {status, to.status}:
        if status != "open":
            yield LeadRecycled(reason=REASON, conflicts=())
        if to.status == "qualified" and to.qualification:
            yield to.qualification
        if to.status == "disqualified" and to.disqualification:
            yield to.disqualification
    if now.owner != to.owner:
        yield LeadAssigned(owner=to.owner, previous_owner=now.owner)
    if _custom(now) != _custom(to):
        yield LeadCustomFieldsSet(**_custom(to))


def _customer(now: Customer, to: Customer, _: Sequence[Event]) -> Iterator[Event]:
    if now.status == "closed" and to.status == "active":
        yield CustomerReactivated(reason=REASON)
    if now.name != to.name:
        yield CustomerRenamed(name=to.name, previous_name=now.name)
    if now.tier != to.tier:
        yield CustomerTierChanged(tier=to.tier, previous_tier=now.tier)
    if now.owner != to.owner:
        yield CustomerAssigned(owner=to.owner, previous_owner=now.owner)
    if now.preferences != to.preferences:
        yield CustomerPreferencesSet(preferences=to.preferences)
    if _custom(now) != _custom(to):
        yield CustomerCustomFieldsSet(**_custom(to))
    if now.status == "active" and isinstance(to.turn, CustomerClosed) and to.status == "closed":
        yield to.turn


def _contact(now: Contact, to: Contact, _: Sequence[Event]) -> Iterator[Event]:
    person: dict[str, Any] = {"person_id": now.person_id}
    if now.name != to.name:
        yield ContactRenamed(**person, name=to.name)
    if now.email != to.email:
        yield ContactEmailChanged(**person, email=to.email, email_kind=email_kind(to.email))
    if now.phone != to.phone:
        yield ContactPhoneChanged(**person, phone=to.phone, has_phone=to.phone is not None)
    if now.title != to.title:
        yield ContactTitleChanged(title=to.title, title_level=title_level(to.title))
    for customer_id, link in now.links.items():
        if to.links.get(customer_id) != link:
            yield to.links.get(customer_id) or ContactUnlinked(customer_id=customer_id, until=None)
    for said, consent in now.consents.items():
        if to.consents.get(said) != consent:
            channel, purpose = said
            yield to.consents.get(said) or ContactConsentWithdrawn(
                channel=channel, purpose=purpose, source=REASON, proof=None
            )
    if _custom(now) != _custom(to):
        yield ContactCustomFieldsSet(**person, **_custom(to))


def _pipeline(now: Pipeline, to: Pipeline, _: Sequence[Event]) -> Iterator[Event]:
    if (now.name, now.stages) != (to.name, to.stages):
        yield PipelineRevised(name=to.name, stages=to.stages, revision=now.revision + 1)


def _deal(now: Deal, to: Deal, past: Sequence[Event]) -> Iterator[Event]:
    if now.customer_id != to.customer_id:
        yield DealLinked(customer_id=to.customer_id, previous_customer_id=now.customer_id)
    if now.expected_close != to.expected_close:
        yield DealCloseDateChanged(
            expected_close=to.expected_close, previous_expected_close=now.expected_close
        )
    if now.owner != to.owner:
        yield DealAssigned(owner=to.owner, previous_owner=now.owner)
    if (now.amount, now.currency) != (to.amount, to.currency):
        yield DealAmountChanged(
            amount=to.amount,
            currency=to.currency,
            previous_amount=now.amount,
            previous_currency=now.currency,
        )
    if (now.status, now.stage, now.turn) != (to.status, to.stage, to.turn):
        yield from _moves(now, to, past)
    if _custom(now) != _custom(to):
        yield DealCustomFieldsSet(**_custom(to))


def _moves(now: Deal, to: Deal, past: Sequence[Event]) -> Iterator[Event]:
    """The steps back to a stage, with what it said when the deal came into it before."""
    came = [event for event in past if isinstance(event, DealMove | DealOpened)]
    ended = to.turn if to.status != "open" and isinstance(to.turn, DealWon | DealLost) else None
    stands = came[came.index(ended) - 1] if ended else came[-1]
    stage = now.stage
    if stands_in(stands) != now.stage and not (ended and now.status == "open"):
        stage = stands_in(stands)
        step: dict[str, Any] = {
            "from_stage": now.stage,
            "to_stage": stage,
            "probability": stands.probability,
            "forecast_category": stands.forecast_category,
            "pipeline_revision": stands.pipeline_revision,
            "amount": to.amount,
            "currency": to.currency,
        }
        closed = now.status != "open"
        if closed:
            yield DealReopened(**step, reason=REASON, conflicts=())
        else:
            yield DealStageChanged(**step)
    if ended:
        yield ended.model_copy(update={"from_stage": stage})


def stands_in(move: DealMove | DealOpened) -> str:
    """The stage a deal is in after a step."""
    return move.to_stage if isinstance(move, DealMove) else move.stage


def _activity(now: Activity, to: Activity, _: Sequence[Event]) -> Iterator[Event]:
    if now.owner != to.owner and now.owner and to.owner:
        yield ActivityAssigned(owner=to.owner, previous_owner=now.owner)
    if now.due != to.due:
        yield ActivityRescheduled(due=to.due, previous_due=now.due)


def _ticket(now: Ticket, to: Ticket, _: Sequence[Event]) -> Iterator[Event]:
    if now.assignee != to.assignee:
        yield TicketAssigned(assignee=to.assignee, previous_assignee=now.assignee)
    if now.priority != to.priority:
        yield TicketPriorityChanged(priority=to.priority, previous_priority=now.priority)
    if now.category != to.category:
        yield TicketCategorized(category=to.category, previous_category=now.category)
    waiting = {"open", "pending", "on_hold"}
    if now.status != to.status and {now.status, to.status} <= waiting:
        step: dict[str, Any] = {"from_status": now.status, "to_status": to.status}
        if to.status == "on_hold" and to.hold_reason:
            yield TicketPutOnHold(**step, hold_reason=to.hold_reason)
        else:
            yield TicketPutPending(**step) if to.status == "pending" else TicketResumed(**step)
    if _custom(now) != _custom(to):
        yield TicketCustomFieldsSet(**_custom(to))


def _campaign(now: Campaign, to: Campaign, _: Sequence[Event]) -> Iterator[Event]:
    if now.start_at != to.start_at and to.start_at and to.status == "scheduled":
        yield CampaignScheduled(start_at=to.start_at)
    if (now.status, to.status) == ("paused", "running"):
        yield CampaignResumed()
    if (now.status, to.status) == ("running", "paused"):
        yield to.pause or CampaignPaused(reason=REASON)


def _member(now: CampaignMember, to: CampaignMember, past: Sequence[Event]) -> Iterator[Event]:
    made = next(event for event in past if isinstance(event, CampaignMemberAdded))
    if now.status != to.status:
        kind = CampaignMemberAdded if to.status == "member" else CampaignMemberRemoved
        yield kind(**dict(made))


def _user(now: User, to: User, _: Sequence[Event]) -> Iterator[Event]:
    if (now.status, to.status) == ("inactive", "active"):
        yield UserReactivated()
    if (now.team, now.manager_id) != (to.team, to.manager_id):
        yield UserTeamChanged(
            team=to.team,
            manager_id=to.manager_id,
            previous_team=now.team,
            previous_manager_id=now.manager_id,
        )
    if (now.status, to.status) == ("active", "inactive"):
        yield UserDeactivated()


def _custom(state: Any) -> dict[str, Any]:
    return {"custom": state.custom, "custom_personal": state.custom_personal}


RESTORE: dict[type[State[Any]], Callable[..., Iterator[Event]]] = {
    Lead: _lead,
    Customer: _customer,
    Contact: _contact,
    Pipeline: _pipeline,
    Deal: _deal,
    Activity: _activity,
    Ticket: _ticket,
    Campaign: _campaign,
    CampaignMember: _member,
    User: _user,
}
