"""What can be asked of campaigns and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from commands.base import Command, On, World
from domain.base import State
from domain.campaign import (
    COST_MAX,
    Campaign,
    CampaignAlreadyPlanned,
    CampaignAlreadyStarted,
    CampaignCompleted,
    CampaignCostRecorded,
    CampaignCostTooHigh,
    CampaignEndsTooSoon,
    CampaignEvent,
    CampaignMember,
    CampaignMemberAdded,
    CampaignMemberMissing,
    CampaignMemberOptedOut,
    CampaignMemberRemoved,
    CampaignMemberRetracted,
    CampaignMemberTouched,
    CampaignNotPaused,
    CampaignNotRunning,
    CampaignNotStarted,
    CampaignOver,
    CampaignPaused,
    CampaignPlanned,
    CampaignResumed,
    CampaignRetracted,
    CampaignScheduled,
    CampaignStarted,
    CampaignUnknown,
    Channel,
    Cost,
    MemberType,
    TouchKind,
    campaign_member_id,
)
from domain.contact import Contact
from domain.lead import Lead
from domain.values import Currency, Day, Line, Moment, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBERS: dict[MemberType, type[State[Any]]] = {"lead": Lead, "contact": Contact}
"""Who can be a member, by the type that is named."""


class PlanCampaign(Command[Campaign], creates=True):
    """Plan a campaign."""

    name: Line
    channel: Channel
    objective: Text = ""
    budget: Cost | None = None
    currency: Currency = "EUR"
    starts_on: Day | None = None
    ends_on: Day | None = None

    example = {
        "name": "Spring webinar",
        "channel": "event",
        "objective": "Forty talks with new companies",
        "budget": "5000.00",
        "currency": "EUR",
        "starts_on": "2026-03-01",
        "ends_on": "2026-03-31",
    }

    def decide(self, campaign: Campaign, /) -> Iterator[CampaignEvent]:
        planned = CampaignPlanned(**self.fields())
        if campaign.planned == planned:
            return
        if campaign.planned is not None:
            raise CampaignAlreadyPlanned
        if self.starts_on and self.ends_on and self.ends_on < self.starts_on:
            raise CampaignEndsTooSoon(starts_on=self.starts_on, ends_on=self.ends_on)
        yield planned


class ScheduleCampaign(Command[Campaign]):
    """Set the time at which a campaign is to start."""

    start_at: Moment

    example = {"start_at": "2026-03-01T08:00:00Z"}

    def decide(self, campaign: Campaign, /) -> Iterator[CampaignEvent]:
        known(campaign)
        if campaign.status not in ("planned", "scheduled"):
            raise CampaignAlreadyStarted(status=campaign.status)
        if campaign.start_at != self.start_at:
            yield CampaignScheduled(start_at=self.start_at)


class StartCampaign(Command[Campaign]):
    """Start a campaign."""

    example = {}

    def decide(self, campaign: Campaign, /) -> Iterator[CampaignEvent]:
        known(campaign)
        if campaign.status == "running":
            return
        if campaign.status not in ("planned", "scheduled"):
            raise CampaignAlreadyStarted(status=campaign.status)
        yield CampaignStarted()


class PauseCampaign(Command[Campaign]):
    """Interrupt a running campaign."""

    reason: Line | None = None

    example = {"reason": "The landing page is down"}

    def decide(self, campaign: Campaign, /) -> Iterator[CampaignEvent]:
        known(campaign)
        paused = CampaignPaused(reason=self.reason)
        if campaign.status == "paused" and campaign.pause == paused:
            return
        if campaign.status != "running":
            raise CampaignNotRunning(status=campaign.status)
        yield paused


class ResumeCampaign(Command[Campaign]):
    """Go on with a paused campaign."""

    example = {}

    def decide(self, campaign: Campaign, /) -> Iterator[CampaignEvent]:
        known(campaign)
        if campaign.status == "running":
            return
        if campaign.status != "paused":
            raise CampaignNotPaused(status=campaign.status)
        yield CampaignResumed()


class CompleteCampaign(Command[Campaign]):
    """End a running or paused campaign; late reactions still count."""

    example = {}

    def decide(self, campaign: Campaign, /) -> Iterator[CampaignEvent]:
        known(campaign)
        if campaign.status == "completed":
            return
        if campaign.status not in ("running", "paused"):
            raise CampaignNotRunning(status=campaign.status)
        yield CampaignCompleted()


class RecordCampaignCost(Command[Campaign]):
    """Record that a campaign cost money, beside what its touches cost."""

    cost: Cost
    purpose: Line | None = None

    example = {"cost": "750.00", "purpose": "Venue"}

    def decide(self, campaign: Campaign, /) -> Iterator[CampaignEvent]:
        known(campaign)
        total = campaign.cost_total + self.cost
        if total > COST_MAX:
            raise CampaignCostTooHigh(total=total, limit=COST_MAX)
        yield CampaignCostRecorded(**self.fields(), cost_total=total, currency=campaign.currency)


class AddCampaignMember(Command[Campaign]):
    """Let a campaign reach a lead or a contact."""

    member_id: UUID
    member_type: MemberType

    example = {"member_id": "00000000-0000-4000-8000-000000000005", "member_type": "lead"}

    def references(self) -> Iterator[tuple[str, type[State[Any]], UUID]]:
        yield "member_id", MEMBERS[self.member_type], self.member_id

    def decide_in(self, world: World, campaign: Campaign, /) -> Iterator[On]:
        known(campaign)
        stream_id = campaign_member_id(world.id, self.member_id)
        if world.load(CampaignMember, stream_id).status == "member":
            return
        if campaign.status == "completed":
            raise CampaignOver
        yield On(stream_id, CampaignMemberAdded(**self.fields(), campaign_id=world.id))


class RemoveCampaignMember(Command[Campaign]):
    """Let a campaign reach a lead or a contact no longer."""

    member_id: UUID

    example = {"member_id": "00000000-0000-4000-8000-000000000005"}

    def decide_in(self, world: World, campaign: Campaign, /) -> Iterator[On]:
        known(campaign)
        stream_id = campaign_member_id(world.id, self.member_id)
        member = world.load(CampaignMember, stream_id)
        if member.status == "unknown":
            raise CampaignMemberMissing(member_id=self.member_id)
        if member.status == "member":
            removed = CampaignMemberRemoved(
                campaign_id=world.id, member_id=self.member_id, member_type=member.member_type
            )
            yield On(stream_id, removed)


class RecordCampaignTouch(Command[Campaign]):
    """Record that a campaign reached a member, or that the member reacted."""

    member_id: UUID
    kind: TouchKind
    cost: Cost | None = None

    example = {"member_id": "00000000-0000-4000-8000-000000000005", "kind": "clicked"}

    def decide_in(self, world: World, campaign: Campaign, /) -> Iterator[On]:
        known(campaign)
        if not campaign.started:
            raise CampaignNotStarted(status=campaign.status)
        stream_id = campaign_member_id(world.id, self.member_id)
        member = world.load(CampaignMember, stream_id)
        if member.status != "member":
            raise CampaignMemberMissing(member_id=self.member_id)
        if self.kind == "sent":
            may_send(campaign, member, self.member_id)
        touched = CampaignMemberTouched(
            **self.fields(),
            campaign_id=world.id,
            member_type=member.member_type,
            touch_number=member.touches + 1,
            currency=campaign.currency,
        )
        yield On(stream_id, touched)


class RetractCampaign(Command[Campaign]):
    """Take back a campaign that should never have been planned; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, campaign: Campaign, /) -> Iterator[CampaignEvent]:
        known(campaign)
        yield CampaignRetracted(reason=self.reason)


class RetractCampaignMember(Command[Campaign]):
    """Take back that a lead or contact was ever a member; the history of it stays."""

    member_id: UUID
    reason: Line

    example = {
        "member_id": "00000000-0000-4000-8000-000000000005",
        "reason": "Imported by mistake",
    }

    def decide_in(self, world: World, campaign: Campaign, /) -> Iterator[On]:
        known(campaign)
        stream_id = campaign_member_id(world.id, self.member_id)
        if world.load(CampaignMember, stream_id).status == "unknown":
            raise CampaignMemberMissing(member_id=self.member_id)
        yield On(stream_id, CampaignMemberRetracted(**self.fields(), campaign_id=world.id))


def known(campaign: Campaign) -> None:
    """Refuse what is asked of a campaign that was never planned."""
    if campaign.status == "unknown":
        raise CampaignUnknown


def may_send(campaign: Campaign, member: CampaignMember, member_id: UUID) -> None:
    """Refuse to send when the campaign rests, or to somebody who wants no more of it."""
    if campaign.status != "running":
        raise CampaignNotRunning(status=campaign.status)
    if member.opted_out:
        raise CampaignMemberOptedOut(member_id=member_id)
