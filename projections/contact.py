"""What readers see of contacts, the parts they play and what they allow."""

from domain.contact import (
    Contact,
    ContactArchived,
    ContactConsentGranted,
    ContactConsentWithdrawn,
    ContactCreated,
    ContactCustomFieldsSet,
    ContactEmailChanged,
    ContactLinked,
    ContactPhoneChanged,
    ContactRenamed,
    ContactRetracted,
    ContactTitleChanged,
    ContactUnlinked,
)
from projections.base import Dimension, assign, blank, envelope, field

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
        ContactRenamed: assign(name=field),
        ContactEmailChanged: assign(email=field, email_kind=field),
        ContactPhoneChanged: assign(phone=field, has_phone=field),
        ContactTitleChanged: assign(title=field, title_level=field),
        ContactLinked: assign(),
        ContactUnlinked: assign(),
        ContactConsentGranted: assign(),
        ContactConsentWithdrawn: assign(),
        ContactArchived: assign(status="archived", reason=field),
        ContactCustomFieldsSet: assign(custom=field, custom_personal=field),
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
