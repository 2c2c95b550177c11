"""What readers see of subjects: what has to be kept, and who was forgotten."""

from domain.subject import Subject, SubjectForgotten, SubjectHeld, SubjectReleased
from projections.base import Dimension, assign, envelope, field

subject = Dimension(
    "subject",
    of=Subject,
    on={
        SubjectHeld: assign(record_id=field),
        SubjectReleased: assign(record_id=field),
        SubjectForgotten: assign(
            record_id=field,
            reason=field,
            key_ids=field,
            record_ids=field,
            forgotten_at=envelope.effective_at,
            forgotten_by=envelope.actor,
        ),
    },
    description="Subjects: whose personal data was destroyed, or has to be kept.",
    columns={
        "record_id": "The record it was asked of: a lead, customer, contact, ticket or user.",
        "reason": "Why the subject was forgotten.",
        "key_ids": "Whose keys were destroyed.",
        "record_ids": "The records whose personal values were destroyed with them.",
        "forgotten_at": "When the subject was forgotten; NULL: it was not.",
        "forgotten_by": "The user who had it forgotten.",
    },
)

legal_hold = Dimension(
    "legal_hold",
    of=Subject,
    key=("matter",),
    on={
        SubjectHeld: assign(
            record_id=field, status="held", placed_by=envelope.actor, released_by=None
        ),
        SubjectReleased: assign(record_id=field, status="released", released_by=envelope.actor),
    },
    description="Legal holds: what has to be kept, and for which matter.",
    columns={
        "matter": "What it has to be kept for, such as the number of a case.",
        "record_id": "The record that is held: a lead, a customer or a contact.",
        "status": "held or released.",
        "placed_by": "The user who placed the hold.",
        "released_by": "The user who released it; NULL: it still holds.",
    },
)
