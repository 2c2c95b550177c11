"""A subject: whose personal data we hold, what has to be kept of it, and that it was forgotten.

It is named by the record that people know: a lead, a customer, a contact, a ticket or a user. The
values themselves stand in the streams of the records; here stands what may become of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never
from uuid import UUID, uuid5

from domain.base import Event, Refusal, State, replace
from domain.values import Line

SUBJECTS = UUID("3f1e6a2c-58d4-5b7e-9c30-6d1f0a7e42b9")
"""Namespace of the streams: a record's subject has a stream of its own."""

NAMING = frozenset(
    "customer_id contact_id lead_id deal_id ticket_id member_id person_id record_id merged_id "
    "merged_into".split()
)
"""Fields by which an event says whom else it is about."""


def subject_stream(record_id: UUID) -> UUID:
    """The stream that tells what may become of the personal data of a record."""
    return uuid5(SUBJECTS, str(record_id))


class SubjectHeld(Event, type="subject.held.v1"):
    """What is known of the subject has to be kept for a matter, whoever asks to forget it."""

    record_id: UUID
    matter: Line


class SubjectReleased(Event, type="subject.released.v1"):
    """A matter no longer needs what is known of the subject."""

    record_id: UUID
    matter: Line


class SubjectForgotten(Event, type="subject.forgotten.v1"):
    """The keys of all that is personal about the subject were destroyed, for a reason.

    `key_ids` says whose keys, `record_ids` the records whose personal values stood under them.
    """

    record_id: UUID
    reason: Line
    key_ids: tuple[UUID, ...]
    record_ids: tuple[UUID, ...]


SubjectEvent = SubjectHeld | SubjectReleased | SubjectForgotten


class SubjectIsHeld(Refusal):
    """What is known of {id} has to be kept for {matter}; it can be forgotten after its release."""


class SubjectNotHeld(Refusal):
    """The record is not held for {matter}."""


@dataclass(frozen=True, slots=True)
class Subject(State[SubjectEvent]):
    """What decisions about forgetting need to know."""

    record_id: UUID | None = None
    matters: dict[str, SubjectHeld] = field(default_factory=dict)
    """What it has to be kept for."""
    forgotten: frozenset[UUID] = frozenset()
    """Records whose personal values were destroyed."""

    def evolve(self, event: SubjectEvent, /) -> Subject:
        match event:
            case SubjectHeld():
                matters = self.matters | {event.matter: event}
                return replace(self, record_id=event.record_id, matters=matters)
            case SubjectReleased():
                matters = {
                    name: held for name, held in self.matters.items() if name != event.matter
                }
                return replace(self, record_id=event.record_id, matters=matters)
            case SubjectForgotten():
                forgotten = self.forgotten.union(event.record_ids)
                return replace(self, record_id=event.record_id, forgotten=forgotten)
            case _:
                assert_never(event)
