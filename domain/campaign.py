"""A campaign: what we do to be noticed, what it costs, and whom it reached.

A campaign may have tens of thousands of members, so each membership is a stream of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, assert_never
from uuid import UUID, uuid5

from pydantic import Field

from domain.base import Event, Refusal, State, replace
from domain.values import Amount, Currency, Day, Line, Moment, Text

Channel = Literal["email", "social", "event", "ads", "content", "phone", "mail", "other"]
MemberType = Literal["lead", "contact"]
TouchKind = Literal["sent", "opened", "clicked", "replied", "converted", "bounced", "opted_out"]
Cost = Annotated[Amount, Field(ge=0)]
COST_MAX = Decimal("9999999999999999.99")
"""What an amount can hold."""

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Status = Literal["unknown", "planned", "scheduled", "running", "paused", "completed"]
MemberStatus = Literal["unknown", "member", "removed"]


def campaign_member_id(campaign_id: UUID, member_id: UUID) -> UUID:
    """The stream of a lead's or contact's membership in a campaign."""
    return uuid5(campaign_id, str(member_id))


class CampaignPlanned(Event, type="campaign.planned.v1"):
    """Somebody had a plan."""

    name: Line
    channel: Channel
    objective: Text
    budget: Cost | None
    currency: Currency
    starts_on: Day | None
    ends_on: Day | None


class CampaignScheduled(Event, type="campaign.scheduled.v1"):
    """The campaign is to start at a certain time."""

    start_at: Moment


class CampaignStarted(Event, type="campaign.started.v1"):
    """The campaign went out into the world."""


class CampaignPaused(Event, type="campaign.paused.v1"):
    """The campaign was interrupted."""

    reason: Line | None


class CampaignResumed(Event, type="campaign.resumed.v1"):
    """The campaign went on."""


class CampaignCompleted(Event, type="campaign.completed.v1"):
    """The campaign came to its end."""


class CampaignCostRecorded(Event, type="campaign.cost_recorded.v1"):
    """The campaign cost money, beside what its touches cost."""

    cost: Cost
    cost_total: Cost
    currency: Currency
    purpose: Line | None


class CampaignRetracted(Event, type="campaign.retracted.v1"):
    """The record was taken back: it is as if the campaign had never been planned."""

    reason: Line


CampaignEvent = (
    CampaignPlanned
    | CampaignScheduled
    | CampaignStarted
    | CampaignPaused
    | CampaignResumed
    | CampaignCompleted
    | CampaignCostRecorded
    | CampaignRetracted
)


class CampaignMemberAdded(Event, type="campaign_member.added.v1"):
    """The campaign is to reach a lead or a contact."""

    campaign_id: UUID
    member_id: UUID
    member_type: MemberType


class CampaignMemberTouched(Event, type="campaign_member.touched.v1"):
    """The campaign reached a member, or the member reacted."""

    campaign_id: UUID
    member_id: UUID
    member_type: MemberType
    kind: TouchKind
    touch_number: Count
    cost: Cost | None
    currency: Currency


class CampaignMemberRemoved(Event, type="campaign_member.removed.v1"):
    """The campaign is to reach a lead or a contact no longer."""

    campaign_id: UUID
    member_id: UUID
    member_type: MemberType


class CampaignMemberRetracted(Event, type="campaign_member.retracted.v1"):
    """The membership was taken back: it is as if the member had never been added."""

    campaign_id: UUID
    member_id: UUID
    reason: Line


CampaignMemberEvent = (
    CampaignMemberAdded | CampaignMemberTouched | CampaignMemberRemoved | CampaignMemberRetracted
)


class CampaignUnknown(Refusal):
    """There is no such campaign."""


class CampaignAlreadyPlanned(Refusal):
    """A campaign with this id was planned before, with other values."""


class CampaignEndsTooSoon(Refusal):
    """The campaign would end on {ends_on}, before it starts on {starts_on}."""


class CampaignAlreadyStarted(Refusal):
    """The campaign is {status}; only one that has not started yet can do this."""


class CampaignNotRunning(Refusal):
    """The campaign is {status}; only a running campaign can do this."""


class CampaignNotPaused(Refusal):
    """The campaign is {status}; only a paused campaign can be resumed."""


class CampaignNotStarted(Refusal):
    """The campaign is {status}; nobody is touched by a campaign that has not started."""


class CampaignOver(Refusal):
    """The campaign is completed and takes no new members."""


class CampaignCostTooHigh(Refusal):
    """The costs would add up to {total}; no more than {limit} can be recorded."""


class CampaignMemberMissing(Refusal):
    """{member_id} is not a member of the campaign."""


class CampaignMemberOptedOut(Refusal):
    """{member_id} opted out; nothing more is sent."""


@dataclass(frozen=True, slots=True)
class Campaign(State[CampaignEvent]):
    """What decisions about a campaign need to know."""

    status: Status = "unknown"
    currency: str = ""
    cost_total: Decimal = Decimal(0)
    start_at: Moment | None = None
    started: bool = False
    planned: CampaignPlanned | None = None
    pause: CampaignPaused | None = None

    def evolve(self, event: CampaignEvent, /) -> Campaign:
        match event:
            case CampaignPlanned():
                return replace(self, status="planned", currency=event.currency, planned=event)
            case CampaignScheduled():
                return replace(self, status="scheduled", start_at=event.start_at)
            case CampaignStarted():
                return replace(self, status="running", started=True)
            case CampaignPaused():
                return replace(self, status="paused", pause=event)
            case CampaignResumed():
                return replace(self, status="running")
            case CampaignCompleted():
                return replace(self, status="completed")
            case CampaignCostRecorded():
                return replace(self, cost_total=event.cost_total)
            case CampaignRetracted():
                return Campaign()
            case _:
                assert_never(event)


@dataclass(frozen=True, slots=True)
class CampaignMember(State[CampaignMemberEvent]):
    """What decisions about a membership need to know."""

    status: MemberStatus = "unknown"
    member_type: MemberType = "lead"
    touches: int = 0
    opted_out: bool = False

    def evolve(self, event: CampaignMemberEvent, /) -> CampaignMember:
        match event:
            case CampaignMemberAdded():
                return replace(self, status="member", member_type=event.member_type)
            case CampaignMemberTouched():
                return replace(
                    self,
                    touches=event.touch_number,
                    opted_out=self.opted_out or event.kind == "opted_out",
                )
            case CampaignMemberRemoved():
                return replace(self, status="removed")
            case CampaignMemberRetracted():
                return CampaignMember()
            case _:
                assert_never(event)
