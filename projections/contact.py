"""What readers see of contacts, the parts they play and what they allow."""

from domain.contact import (
    Contact,
    ContactAbsorbed,
    ContactArchived,
    ContactConsentGranted,
    ContactConsentWithdrawn,
    ContactCreated,
    ContactCustomFieldsSet,
    ContactEmailChanged,
    ContactLinked,
    ContactMerged,
    ContactPhoneChanged,
    ContactRenamed,
    ContactRetracted,
    ContactSeparated,
    ContactTitleChanged,
    ContactUnlinked,
    ContactUnmerged,
    ContactValues,
)
from projections.base import Assignments, Dimension, assign, blank, envelope, field

MERGED: Assignments = assign(**dict.fromkeys(ContactValues.model_fields, field))

contact = Dimension(
    "contact",
    of=Contact,
    on={
        ContactCreated: assign(
            status="active",
            person_id=field,
            email_kind=field,
            has_phone=field,
            title=field,
            title_level=field,
            lead_id=field,
            name=field,
            email=field,
            phone=field,
            custom=field,
            custom_personal=field,
        ),
        ContactRenamed: assign(name=field, name_from=None),
        ContactEmailChanged: assign(email=field, email_kind=field, email_from=None),
        ContactPhoneChanged: assign(phone=field, has_phone=field, phone_from=None),
        ContactTitleChanged: assign(title=field, title_level=field),
        ContactLinked: assign(),
        ContactUnlinked: assign(),
        ContactConsentGranted: assign(),
        ContactConsentWithdrawn: assign(),
        ContactArchived: assign(status="archived", reason=field),
        ContactCustomFieldsSet: assign(custom=field, custom_personal=field),
        ContactMerged: assign(merged_into=field),
        ContactUnmerged: assign(merged_into=None),
        ContactAbsorbed: MERGED,
        ContactSeparated: MERGED,
        ContactRetracted: blank(status="retracted"),
    },
    description="Contacts: the people we deal with.",
    columns={
        "status": "active or archived.",
        "person_id": "Whose key seals the personal columns.",
        "email_kind": "Whether the e-mail address is one of a business, a free one, or none.",
        "has_phone": "Whether a telephone number is known.",
        "title": "Position in the company.",
        "title_level": "executive, manager, staff or other.",
        "lead_id": "The lead the contact came from.",
        "reason": "Why the contact was archived.",
        "merged_into": "The contact it is merged into: shown there instead.",
        "name_from": "The contact merged into it whose name it shows; NULL: its own.",
        "email_from": "The contact merged into it whose e-mail address it shows; NULL: its own.",
        "phone_from": "The contact merged into it whose telephone number it shows; NULL: its own.",
        "custom": "Custom fields, as one object.",
        "name": "Name of the person.",
        "email": "E-mail address of the person.",
        "phone": "Telephone number of the person.",
        "custom_personal": "Personal custom fields, as one object.",
    },
)

contact_role = Dimension(
    "contact_role",
    of=Contact,
    key=("customer_id",),
    on={
        ContactLinked: assign(
            status="current",
            role=field,
            since=field,
            until=None,
            linked_at=envelope.effective_at,
        ),
        ContactUnlinked: assign(status="ended", until=field),
    },
    description="The parts contacts play at customers.",
    columns={
        "customer_id": "The customer.",
        "status": "current or ended.",
        "role": "decision_maker, evaluator, influencer, user or other.",
        "since": "Since when, as far as it was said.",
        "until": "Until when, as far as it was said.",
        "linked_at": "When we learned of it.",
    },
)

contact_consent = Dimension(
    "contact_consent",
    of=Contact,
    key=("channel", "purpose"),
    on={
        ContactConsentGranted: assign(status="granted", source=field, proof=field),
        ContactConsentWithdrawn: assign(status="withdrawn", source=field, proof=field),
    },
    description="Through which channels a contact may be reached, and for what.",
    columns={
        "channel": "email, phone, sms, post or social.",
        "purpose": "What for, such as newsletter; any: for whatever it is.",
        "status": "granted or withdrawn.",
        "source": "How we know.",
        "proof": "Where the proof is, such as the number of a form or the hash of a file.",
    },
)
