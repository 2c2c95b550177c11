"""A contact: a person we know, and what that person is to our customers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, assert_never
from uuid import UUID

from domain.base import HIDDEN, Event, Personal, Refusal, State, replace
from domain.merger import (
    Absorbed,
    Absorption,
    Merged,
    Parts,
    Separated,
    Unmerged,
    absorbing,
    separating,
)
from domain.values import (
    NIL,
    CustomValue,
    Day,
    EmailAddress,
    EmailKind,
    Line,
    Phone,
    Slug,
    TitleLevel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Role = Literal["decision_maker", "evaluator", "influencer", "user", "other"]
Channel = Literal["email", "phone", "sms", "post", "social"]
Status = Literal["unknown", "active", "archived"]


ANY_PURPOSE = "any"
"""Consent for any purpose; until 26 November 2026 there was no other."""


def _for_any_purpose(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"purpose": ANY_PURPOSE, "proof": None}


class ContactCreated(Event, type="contact.created.v1", subject="person_id"):
    """We began to know a person; one who was a lead stays the same person."""

    person_id: UUID
    name: Personal[Line]
    email: Personal[EmailAddress | None]
    phone: Personal[Phone | None]
    email_kind: EmailKind
    has_phone: bool
    title: Line | None
    title_level: TitleLevel
    lead_id: UUID | None
    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class ContactRenamed(Event, type="contact.renamed.v1", subject="person_id"):
    """The person has another name."""

    person_id: UUID
    name: Personal[Line]


class ContactEmailChanged(Event, type="contact.email_changed.v1", subject="person_id"):
    """The person is reached at another e-mail address, or at none."""

    person_id: UUID
    email: Personal[EmailAddress | None]
    email_kind: EmailKind


class ContactPhoneChanged(Event, type="contact.phone_changed.v1", subject="person_id"):
    """The person is reached at another telephone number, or at none."""

    person_id: UUID
    phone: Personal[Phone | None]
    has_phone: bool


class ContactTitleChanged(Event, type="contact.title_changed.v1"):
    """The person has another position."""

    title: Line | None
    title_level: TitleLevel


class ContactLinked(Event, type="contact.linked.v1"):
    """The person plays a role at a customer, from a day on if it is known."""

    customer_id: UUID
    role: Role
    since: Day | None


class ContactUnlinked(Event, type="contact.unlinked.v1"):
    """The person plays no role at a customer any more."""

    customer_id: UUID
    until: Day | None


class ContactConsentGranted(
    Event,
    type="contact.consent_granted.v2",
    lifts={"contact.consent_granted.v1": _for_any_purpose},
):
    """The person agreed to be addressed on a channel for a purpose."""

    channel: Channel
    purpose: Slug
    source: Line
    proof: Line | None


class ContactConsentWithdrawn(
    Event,
    type="contact.consent_withdrawn.v2",
    lifts={"contact.consent_withdrawn.v1": _for_any_purpose},
):
    """The person no longer wants to be addressed on a channel for a purpose."""

    channel: Channel
    purpose: Slug
    source: Line
    proof: Line | None


class ContactArchived(Event, type="contact.archived.v1"):
    """We have nothing more to do with the person."""

    reason: Line


class ContactCustomFieldsSet(Event, type="contact.custom_fields_set.v1", subject="person_id"):
    """Custom fields took new values; all of them are listed, as they are now."""

    person_id: UUID
    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class ContactRetracted(Event, type="contact.retracted.v1"):
    """The record was taken back: it is as if the contact had never been created."""

    reason: Line


class ContactValues(Event):
    """What a merger sets of a contact.

    `name_from`, `email_from` and `phone_from` name the contact merged into this one whose value is
    shown; null: its own. So each value stands under the key of the person it is about.
    """

    name_from: UUID | None
    email_from: UUID | None
    email_kind: EmailKind
    phone_from: UUID | None
    has_phone: bool
    title: Line | None
    title_level: TitleLevel
    custom: dict[str, CustomValue]


class ContactMerged(Merged, type="contact.merged.v1"):
    """The contact is the same person as another one, and is shown with it from now on."""


class ContactUnmerged(Unmerged, type="contact.unmerged.v1"):
    """The contact was another person after all."""


class ContactAbsorbed(ContactValues, Absorbed, type="contact.absorbed.v1"):
    """Another contact was merged into this one, which has these values from now on."""


class ContactSeparated(ContactValues, Separated, type="contact.separated.v1"):
    """A contact that was merged into this one is its own again."""


ContactEvent = (
    ContactCreated
    | ContactRenamed
    | ContactEmailChanged
    | ContactPhoneChanged
    | ContactTitleChanged
    | ContactLinked
    | ContactUnlinked
    | ContactConsentGranted
    | ContactConsentWithdrawn
    | ContactArchived
    | ContactCustomFieldsSet
    | ContactMerged
    | ContactUnmerged
    | ContactAbsorbed
    | ContactSeparated
    | ContactRetracted
)


PARTS: Parts = {
    "name": ("name_from",),
    "email": ("email_from", "email_kind"),
    "phone": ("phone_from", "has_phone"),
    "title": ("title", "title_level"),
    "custom": ("custom",),
}
"""What another contact may take over."""


class ContactUnknown(Refusal):
    """There is no such contact."""


class ContactAlreadyCreated(Refusal):
    """A contact with this id was created before, with other values."""


class ContactEmailTaken(Refusal):
    """The contact {contact_id} already has this e-mail address."""


class ContactNotActive(Refusal):
    """The contact is {status} and no longer changes."""


class ContactNotLinked(Refusal):
    """The contact plays no role at this customer."""


class LinkEndsBeforeStart(Refusal):
    """The contact has played this role since {since}, so not until {until}."""


@dataclass(frozen=True, slots=True)
class Contact(State[ContactEvent]):
    """What decisions about a contact need to know."""

    status: Status = "unknown"
    person_id: UUID = NIL
    name: str = ""
    email: str | None = None
    phone: str | None = None
    title: str | None = None
    links: dict[UUID, ContactLinked | ContactUnlinked] = field(default_factory=dict)
    consents: dict[tuple[Channel, str], ContactConsentGranted | ContactConsentWithdrawn] = field(
        default_factory=dict
    )
    """What was said last of each channel and purpose."""
    custom: dict[str, CustomValue] = field(default_factory=dict)
    custom_personal: dict[str, CustomValue] = field(default_factory=dict)
    created: ContactCreated | None = None
    archived: ContactArchived | None = None
    name_from: UUID | None = None
    email_from: UUID | None = None
    email_kind: EmailKind = "none"
    phone_from: UUID | None = None
    has_phone: bool = False
    title_level: TitleLevel = "other"
    merger: ContactMerged | ContactUnmerged | None = None
    absorbed: dict[UUID, Absorption] = field(default_factory=dict)
    """The contacts merged into this one."""

    def evolve(self, event: ContactEvent, /) -> Contact:
        match event:
            case ContactCreated():
                told: dict[str, Any] = {n: value for n, value in event if n != "lead_id"}
                return replace(self, status="active", created=event, **told)
            case ContactRenamed():
                return replace(self, name=event.name, name_from=None)
            case ContactEmailChanged(email=email, email_kind=kind):
                return replace(self, email=email, email_from=None, email_kind=kind)
            case ContactPhoneChanged(phone=phone, has_phone=has_phone):
                return replace(self, phone=phone, phone_from=None, has_phone=has_phone)
            case ContactTitleChanged(title=title, title_level=level):
                return replace(self, title=title, title_level=level)
            case ContactLinked() | ContactUnlinked():
                return replace(self, links=self.links | {event.customer_id: event})
            case ContactConsentGranted() | ContactConsentWithdrawn():
                return replace(
                    self, consents=self.consents | {(event.channel, event.purpose): event}
                )
            case ContactArchived():
                return replace(self, status="archived", archived=event)
            case ContactCustomFieldsSet():
                return replace(self, custom=event.custom, custom_personal=event.custom_personal)
            case ContactMerged() | ContactUnmerged():
                return replace(self, merger=event)
            case ContactAbsorbed():
                return absorbing(self, event, PARTS)
            case ContactSeparated():
                return separating(self, event, PARTS)
            case ContactRetracted():
                return Contact()
            case _:
                assert_never(event)

    def customers(self) -> list[UUID]:
        """Customers where the contact plays a role now, first linked first."""
        return [
            customer_id
            for customer_id, link in self.links.items()
            if isinstance(link, ContactLinked)
        ]

    def holds(self) -> Iterator[tuple[str, str]]:
        """One active contact per e-mail address."""
        if self.status == "active" and self.email and self.email is not HIDDEN:
            yield email_of_contact(self.email)


def email_of_contact(email: str) -> tuple[str, str]:
    """What an active contact with this e-mail address holds."""
    return "contact.email", email.casefold()
