"""What can be asked of a lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from commands.base import Command, Reference, World
from commands.custom_fields import CustomValues, custom_changes, custom_values
from commands.rules import QUALIFICATION, Qualification
from commands.user import may_own, who_left
from domain.base import HIDDEN
from domain.campaign import Campaign
from domain.contact import email_of_contact
from domain.lead import (
    Bant,
    BantTooLow,
    DisqualifyReason,
    EngagementKind,
    Lead,
    LeadAlreadyCaptured,
    LeadAssigned,
    LeadCaptured,
    LeadClosed,
    LeadCustomFieldsSet,
    LeadDisqualified,
    LeadEngaged,
    LeadEvent,
    LeadNotDisqualified,
    LeadNotOpen,
    LeadQualified,
    LeadRecycled,
    LeadRetracted,
    LeadUnknown,
    email_of_lead,
)
from domain.undo import Conflict
from domain.user import User
from domain.values import (
    Country,
    EmailAddress,
    Line,
    Phone,
    Text,
    email_kind,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class CaptureLead(Command[Lead], creates=True):
    """Record that somebody showed interest."""

    name: Line
    email: EmailAddress | None = None
    phone: Phone | None = None
    company: Line | None = None
    title: Line | None = None
    country: Country | None = None
    source: Line
    campaign_id: Reference[Campaign] | None = None
    custom: CustomValues = Field(default_factory=dict)

    example = {
        "name": "Ann Example",
        "email": "ann@example.com",
        "company": "Example Ltd",
        "country": "GB",
        "source": "website",
    }

    def claims(self) -> Iterator[tuple[str, str]]:
        if self.email:
            yield email_of_lead(self.email)

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[LeadEvent]:
        captured = LeadCaptured(
            **self.fields() | custom_values(world, Lead, self.custom),
            email_kind=email_kind(self.email),
            has_phone=self.phone is not None,
        )
        if lead.status == "unknown":
            yield captured
        elif lead.captured != captured:
            raise LeadAlreadyCaptured


class AssignLead(Command[Lead]):
    """Make a user responsible for a lead."""

    owner: Reference[User]

    example = {"owner": "00000000-0000-4000-8000-000000000001"}

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[LeadEvent]:
        known(lead)
        if lead.owner == self.owner:
            return
        if lead.status == "converted":
            raise LeadClosed(status=lead.status)
        may_own(world, self.owner)
        yield LeadAssigned(owner=self.owner, previous_owner=lead.owner)


class EngageLead(Command[Lead]):
    """Record that the lead did something that shows interest."""

    kind: EngagementKind
    note: Text = ""

    example = {"kind": "form_submitted", "note": "Asked for a price list."}

    def decide(self, lead: Lead, /) -> Iterator[LeadEvent]:
        known(lead)
        if lead.status == "converted":
            raise LeadClosed(status=lead.status)
        yield LeadEngaged(**self.fields(), engagements=lead.engagements + 1)


class QualifyLead(Command[Lead]):
    """Declare an open lead worth a salesperson's time."""

    budget: Bant
    authority: Bant
    need: Bant
    timeline: Bant
    evidence: Text = ""

    example = {
        "budget": 3,
        "authority": 4,
        "need": 5,
        "timeline": 2,
        "evidence": "Budget approved by the board in March.",
    }

    def decide(self, lead: Lead, /, rule: Qualification = QUALIFICATION) -> Iterator[LeadEvent]:
        known(lead)
        qualified = LeadQualified(**self.fields())
        if lead.qualification == qualified and lead.status == "qualified":
            return
        if lead.status != "open":
            raise LeadNotOpen(status=lead.status)
        scores = (self.budget, self.authority, self.need, self.timeline)
        if sum(scores) < rule.sum_min or min(scores) < rule.each_min:
            raise BantTooLow(total=sum(scores), floor=rule.sum_min, least=rule.each_min)
        yield qualified


class DisqualifyLead(Command[Lead]):
    """Give a lead up, for a reason."""

    reason: DisqualifyReason
    note: Text = ""

    example = {"reason": "no_budget", "note": "Asked to come back next year."}

    def decide(self, lead: Lead, /) -> Iterator[LeadEvent]:
        known(lead)
        disqualified = LeadDisqualified(**self.fields())
        if lead.disqualification == disqualified and lead.status == "disqualified":
            return
        if lead.status not in ("open", "qualified"):
            raise LeadNotOpen(status=lead.status)
        yield disqualified


class RecycleLead(Command[Lead]):
    """Bring a lead that was given up back into the queue.

    That the owner left, or that a contact has its e-mail address by now, is told as a conflict.
    """

    reason: Line

    example = {"reason": "New budget year"}

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[LeadEvent]:
        known(lead)
        if lead.recycling and lead.recycling.reason == self.reason and lead.status == "open":
            return
        if lead.status != "disqualified":
            raise LeadNotDisqualified(status=lead.status)
        conflicts = list(who_left(world, lead.owner))
        if lead.email and lead.email is not HIDDEN:
            contact_id = world.holder(*email_of_contact(lead.email))
            if contact_id:
                conflicts.append(Conflict(kind="contact", id=contact_id, field="email"))
        yield LeadRecycled(reason=self.reason, conflicts=tuple(conflicts))


class SetLeadCustomFields(Command[Lead]):
    """Set custom fields of a lead; fields not named keep their values."""

    custom: CustomValues

    example = {"custom": {}}

    def decide_in(self, world: World, lead: Lead, /) -> Iterator[LeadEvent]:
        known(lead)
        if changes := custom_changes(world, Lead, lead, self.custom):
            yield LeadCustomFieldsSet(**changes)


class RetractLead(Command[Lead]):
    """Take back a lead that should never have been captured; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, lead: Lead, /) -> Iterator[LeadEvent]:
        known(lead)
        yield LeadRetracted(reason=self.reason)


def known(lead: Lead) -> None:
    """Refuse what is asked of a lead that was never captured."""
    if lead.status == "unknown":
        raise LeadUnknown
