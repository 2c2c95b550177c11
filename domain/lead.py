"""A lead: somebody showed interest; is it worth a salesperson's time?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, assert_never
from uuid import UUID

from pydantic import Field

from domain.base import HIDDEN, Event, Personal, Refusal, State, replace
from domain.undo import Conflicts, without_conflicts
from domain.values import (
    Country,
    CustomValue,
    EmailAddress,
    EmailKind,
    Line,
    Phone,
    Slug,
    Text,
    Whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Bant = Annotated[Whole, Field(ge=0, le=5)]
"""One dimension of BANT, 0 (nothing known) to 5 (certain)."""

EngagementKind = Literal[
    "email_opened", "email_clicked", "page_visited", "form_submitted", "call", "meeting", "reply"
]
DisqualifyReason = Literal[
    "no_budget",
    "no_authority",
    "no_need",
    "bad_timing",
    "competitor",
    "unreachable",
    "duplicate",
    "spam",
    "other",
]
Status = Literal["unknown", "open", "qualified", "disqualified", "converted"]


class LeadCaptured(Event, type="lead.captured.v1"):
    """Somebody showed interest."""

    name: Personal[Line]
    email: Personal[EmailAddress | None]
    phone: Personal[Phone | None]
    email_kind: EmailKind
    has_phone: bool
    company: Line | None
    title: Line | None
    country: Country | None
    source: Line
    campaign_id: UUID | None
    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class LeadAssigned(Event, type="lead.assigned.v1"):
    """A user became responsible for the lead; null: nobody is."""

    owner: UUID | None
    previous_owner: UUID | None


class LeadEngaged(Event, type="lead.engaged.v1"):
    """The lead did something that shows interest."""

    kind: EngagementKind
    engagements: int
    note: Personal[Text]


class LeadQualified(Event, type="lead.qualified.v1"):
    """A salesperson judged the lead worth working."""

    budget: Bant
    authority: Bant
    need: Bant
    timeline: Bant
    evidence: Personal[Text]


class LeadDisqualified(Event, type="lead.disqualified.v1"):
    """A salesperson gave the lead up, for a reason."""

    reason: DisqualifyReason
    note: Personal[Text]


class LeadRecycled(Event, type="lead.recycled.v2", lifts={"lead.recycled.v1": without_conflicts}):
    """A lead given up came back into the queue."""

    reason: Line
    conflicts: Conflicts


def _made_unknown(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"made": [], "role": None}


class LeadConverted(Event, type="lead.converted.v2", lifts={"lead.converted.v1": _made_unknown}):
    """The lead became a customer with a contact and, perhaps, a deal.

    `made` are those of them that began with it, `role` is the one the contact came to play at the
    customer by it; until 26 November 2026 neither was noted.
    """

    customer_id: UUID
    contact_id: UUID
    deal_id: UUID | None
    made: tuple[UUID, ...]
    role: Slug | None


class LeadUnconverted(Event, type="lead.unconverted.v1"):
    """A conversion was taken back: the lead is what it was before."""

    to_status: Status
    reason: Line
    conflicts: Conflicts


class LeadCustomFieldsSet(Event, type="lead.custom_fields_set.v1"):
    """Custom fields took new values; all of them are listed, as they are now."""

    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class LeadRetracted(Event, type="lead.retracted.v1"):
    """The record was taken back: it is as if the lead had never been captured."""

    reason: Line


LeadEvent = (
    LeadCaptured
    | LeadAssigned
    | LeadEngaged
    | LeadQualified
    | LeadDisqualified
    | LeadRecycled
    | LeadConverted
    | LeadUnconverted
    | LeadCustomFieldsSet
    | LeadRetracted
)


class LeadUnknown(Refusal):
    """There is no such lead."""


class LeadAlreadyCaptured(Refusal):
    """A lead with this id was captured before, with other values."""


class LeadNotOpen(Refusal):
    """The lead is {status}; only an open lead can do this."""


class LeadHidden(Refusal):
    """The person behind this lead was forgotten or cannot be read; a contact needs a name."""


class LeadNotDisqualified(Refusal):
    """The lead is {status}; only a disqualified lead can be recycled."""


class LeadNotConverted(Refusal):
    """The lead is {status}; only a conversion can be taken back."""


class LeadEmailTaken(Refusal):
    """The lead {lead_id} has this e-mail address by now."""


class LeadClosed(Refusal):
    """The lead is {status} and no longer changes."""


class BantTooLow(Refusal):
    """BANT adds up to {total}; a lead qualifies with {floor} or more, and {least} in each."""


@dataclass(frozen=True, slots=True)
class Lead(State[LeadEvent]):
    """What decisions about a lead need to know."""

    status: Status = "unknown"
    name: str = ""
    email: str | None = None
    phone: str | None = None
    company: str | None = None
    owner: UUID | None = None
    engagements: int = 0
    custom: dict[str, CustomValue] = field(default_factory=dict)
    custom_personal: dict[str, CustomValue] = field(default_factory=dict)
    captured: LeadCaptured | None = None
    disqualification: LeadDisqualified | None = None
    recycling: LeadRecycled | None = None
    qualification: LeadQualified | None = None
    conversion: LeadConverted | None = None
    unconversion: LeadUnconverted | None = None

    def evolve(self, event: LeadEvent, /) -> Lead:
        match event:
            case LeadCaptured():
                return replace(
                    self,
                    status="open",
                    captured=event,
                    name=event.name,
                    email=event.email,
                    phone=event.phone,
                    company=event.company,
                    custom=event.custom,
                    custom_personal=event.custom_personal,
                )
            case LeadAssigned():
                return replace(self, owner=event.owner)
            case LeadEngaged():
                return replace(self, engagements=event.engagements)
            case LeadQualified():
                return replace(self, status="qualified", qualification=event)
            case LeadDisqualified():
                return replace(self, status="disqualified", disqualification=event)
            case LeadRecycled():
                return replace(self, status="open", recycling=event, qualification=None)
            case LeadConverted():
                return replace(self, status="converted", conversion=event)
            case LeadUnconverted():
                return replace(self, status=event.to_status, conversion=None, unconversion=event)
            case LeadCustomFieldsSet():
                return replace(self, custom=event.custom, custom_personal=event.custom_personal)
            case LeadRetracted():
                return Lead()
            case _:
                assert_never(event)

    def holds(self) -> Iterator[tuple[str, str]]:
        """One live lead per e-mail address."""
        if self.status in ("open", "qualified") and self.email and self.email is not HIDDEN:
            yield email_of_lead(self.email)


def email_of_lead(email: str) -> tuple[str, str]:
    """What a live lead with this e-mail address holds."""
    return "lead.email", email.casefold()
