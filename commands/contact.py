"""What can be asked of a contact."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import Field

from commands.base import Command, On, Reference, World
from commands.custom_fields import CustomValues, custom_changes, custom_values
from commands.merger import merged_into, must_have_none_merged, must_stand_alone
from domain.contact import (
    ANY_PURPOSE,
    Channel,
    Contact,
    ContactAlreadyCreated,
    ContactArchived,
    ContactConsentGranted,
    ContactConsentWithdrawn,
    ContactCreated,
    ContactCustomFieldsSet,
    ContactEmailChanged,
    ContactEmailTaken,
    ContactEvent,
    ContactLinked,
    ContactNotActive,
    ContactNotLinked,
    ContactPhoneChanged,
    ContactRenamed,
    ContactRetracted,
    ContactTitleChanged,
    ContactUnknown,
    ContactUnlinked,
    LinkEndsBeforeStart,
    Role,
    email_of_contact,
)
from domain.customer import Customer
from domain.lead import Lead
from domain.values import Day, EmailAddress, Line, Phone, Slug, email_kind, title_level

if TYPE_CHECKING:
    from collections.abc import Iterator


class CreateContact(Command[Contact], creates=True):
    """Record a person, with the role played at a customer if there is one."""

    name: Line
    email: EmailAddress | None = None
    phone: Phone | None = None
    title: Line | None = None
    lead_id: Reference[Lead] | None = None
    customer_id: Reference[Customer] | None = None
    role: Role = "other"
    custom: CustomValues = Field(default_factory=dict)

    example = {
        "name": "Ann Example",
        "email": "ann@example.com",
        "title": "Head of Purchasing",
        "customer_id": "00000000-0000-4000-8000-000000000003",
        "role": "decision_maker",
    }

    def claims(self) -> Iterator[tuple[str, str]]:
        if self.email:
            yield email_of_contact(self.email)

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[ContactEvent]:
        created = ContactCreated(
            person_id=self.lead_id or world.id,
            name=self.name,
            email=self.email,
            phone=self.phone,
            email_kind=email_kind(self.email),
            has_phone=self.phone is not None,
            title=self.title,
            title_level=title_level(self.title),
            lead_id=self.lead_id,
            **custom_values(world, Contact, self.custom),
        )
        if contact.status != "unknown":
            if contact.created != created or self.customer_id not in {None, *contact.links}:
                raise ContactAlreadyCreated
            return
        email_must_be_free(world, self.email)
        yield created
        if self.customer_id:
            yield ContactLinked(customer_id=self.customer_id, role=self.role, since=None)


class RenameContact(Command[Contact]):
    """Record that a person has another name."""

    name: Line

    example = {"name": "Ann Sample"}

    def decide(self, contact: Contact, /) -> Iterator[ContactEvent]:
        known(contact)
        if contact.name == self.name and contact.name_from is None:
            return
        must_be_active(contact)
        yield ContactRenamed(person_id=contact.person_id, name=self.name)


class ChangeContactEmail(Command[Contact]):
    """Record another e-mail address; null if there is none any more."""

    email: EmailAddress | None

    example = {"email": "ann.sample@example.com"}

    def claims(self) -> Iterator[tuple[str, str]]:
        if self.email:
            yield email_of_contact(self.email)

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[ContactEvent]:
        known(contact)
        if contact.email == self.email and contact.email_from is None:
            return
        must_be_active(contact)
        email_must_be_free(world, self.email)
        yield ContactEmailChanged(
            person_id=contact.person_id, email=self.email, email_kind=email_kind(self.email)
        )


class ChangeContactPhone(Command[Contact]):
    """Record another telephone number; null if there is none any more."""

    phone: Phone | None

    example = {"phone": "+44 20 7946 0000"}

    def decide(self, contact: Contact, /) -> Iterator[ContactEvent]:
        known(contact)
        if contact.phone == self.phone and contact.phone_from is None:
            return
        must_be_active(contact)
        yield ContactPhoneChanged(
            person_id=contact.person_id, phone=self.phone, has_phone=self.phone is not None
        )


class ChangeContactTitle(Command[Contact]):
    """Record another position; null if it is not known."""

    title: Line | None

    example = {"title": "Chief Operating Officer"}

    def decide(self, contact: Contact, /) -> Iterator[ContactEvent]:
        known(contact)
        if contact.title == self.title:
            return
        must_be_active(contact)
        yield ContactTitleChanged(title=self.title, title_level=title_level(self.title))


class LinkContact(Command[Contact]):
    """Record the role a person plays at a customer."""

    customer_id: Reference[Customer]
    role: Role = "other"
    since: Day | None = None

    example = {
        "customer_id": "00000000-0000-4000-8000-000000000003",
        "role": "evaluator",
        "since": "2026-02-01",
    }

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[ContactEvent]:
        known(contact)
        linked = ContactLinked(**self.fields())
        if contact.links.get(self.customer_id) == linked:
            return
        must_be_active(contact)
        yield linked


class UnlinkContact(Command[Contact]):
    """Record that a person plays no role at a customer any more."""

    customer_id: UUID
    until: Day | None = None

    example = {"customer_id": "00000000-0000-4000-8000-000000000003", "until": "2026-05-31"}

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[ContactEvent | On]:
        known(contact)
        unlinked = ContactUnlinked(**self.fields())
        if contact.links.get(self.customer_id) == unlinked:
            return
        must_be_active(contact)
        links = {
            id: link
            for id, one in as_one(world, contact).items()
            if isinstance(link := one.links.get(self.customer_id), ContactLinked)
        }
        if not links:
            raise ContactNotLinked
        for id, link in links.items():
            if link.since and self.until and self.until < link.since:
                raise LinkEndsBeforeStart(since=link.since, until=self.until)
            yield unlinked if id == world.id else On(id, unlinked)


class GrantConsent(Command[Contact]):
    """Record that a person agrees to be addressed on a channel, and how that can be proved."""

    channel: Channel
    purpose: Slug = ANY_PURPOSE
    source: Line
    proof: Line | None = None

    example = {
        "channel": "email",
        "purpose": "newsletter",
        "source": "Newsletter form, double opt-in",
        "proof": "Form 4711 of 3 March",
    }

    def decide(self, contact: Contact, /) -> Iterator[ContactEvent]:
        known(contact)
        granted = ContactConsentGranted(**self.fields())
        if contact.consents.get((self.channel, self.purpose)) == granted:
            return
        must_be_active(contact)
        yield granted


class WithdrawConsent(Command[Contact]):
    """Record that a person no longer wants to be addressed on a channel; this is always heard."""

    channel: Channel
    purpose: Slug = ANY_PURPOSE
    source: Line
    proof: Line | None = None

    example = {
        "channel": "email",
        "purpose": "newsletter",
        "source": "Unsubscribe link",
        "proof": "Form 4711 of 3 March",
    }

    def decide(self, contact: Contact, /) -> Iterator[ContactEvent]:
        must_exist(contact)
        withdrawn = ContactConsentWithdrawn(**self.fields())
        if contact.consents.get((self.channel, self.purpose)) != withdrawn:
            yield withdrawn


class ArchiveContact(Command[Contact]):
    """Have nothing more to do with a person; the e-mail address is free for another contact.

    So are those of the contacts merged into this one.
    """

    reason: Line

    example = {"reason": "Left the company"}

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[ContactEvent | On]:
        archived = ContactArchived(reason=self.reason)
        if contact.archived == archived:
            return
        must_be_active(contact)
        for id, one in as_one(world, contact).items():
            if one.status == "active":
                yield archived if id == world.id else On(id, archived)


class SetContactCustomFields(Command[Contact]):
    """Set custom fields of a contact; fields not named keep their values."""

    custom: CustomValues

    example = {"custom": {}}

    def decide_in(self, world: World, contact: Contact, /) -> Iterator[ContactEvent]:
        known(contact)
        if changes := custom_changes(world, Contact, contact, self.custom):
            yield ContactCustomFieldsSet(person_id=contact.person_id, **changes)


class RetractContact(Command[Contact]):
    """Take back a contact that should never have been created; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, contact: Contact, /) -> Iterator[ContactEvent]:
        known(contact)
        must_have_none_merged(contact)
        for customer_id in contact.customers():
            yield ContactUnlinked(customer_id=customer_id, until=None)
        for (channel, purpose), consent in contact.consents.items():
            if isinstance(consent, ContactConsentGranted):
                yield ContactConsentWithdrawn(
                    channel=channel, purpose=purpose, source=self.reason, proof=None
                )
        yield ContactRetracted(reason=self.reason)


def known(contact: Contact) -> None:
    """Refuse what is asked of a contact that was never created, or is merged into another one."""
    must_exist(contact)
    must_stand_alone(contact)


def must_exist(contact: Contact) -> None:
    """Refuse what is asked of a contact that was never created, though not if it is merged."""
    if contact.status == "unknown":
        raise ContactUnknown


def must_be_active(contact: Contact) -> None:
    """Refuse what only an active contact can do."""
    known(contact)
    if contact.status != "active":
        raise ContactNotActive(status=contact.status)


def as_one(world: World, contact: Contact) -> dict[UUID, Contact]:
    """The contact, and those merged into it."""
    merged = {id: world.load(Contact, id) for id in contact.absorbed}
    return {world.id: contact} | merged


def email_must_be_free(world: World, email: str | None) -> None:
    """Refuse an e-mail address that another active contact has."""
    holder = world.holder(*email_of_contact(email)) if email else None
    if holder is not None and holder != world.id:
        survivor = merged_into(world.load(Contact, holder), holder)
        raise ContactEmailTaken(contact_id=holder if survivor == world.id else survivor)
