"""How long what is kept, and how what was kept long enough is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.base import Command, On, World
from commands.subject import forgotten
from domain.activity import Activity
from domain.base import State, aggregate_of
from domain.contact import Contact, ContactConsentGranted
from domain.customer import Customer
from domain.deal import Deal
from domain.lead import Lead
from domain.retention_rule import (
    KindOfData,
    Period,
    RetentionRule,
    RetentionRuleChanged,
    RetentionRuleElsewhere,
    RetentionRuleEvent,
    RetentionRuleRepealed,
    RetentionRuleSet,
    RetentionRuleUnknown,
    SubjectConsented,
    SubjectInUse,
    retention_rule_id,
)
from domain.ticket import Ticket
from domain.user import User
from domain.values import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from uuid import UUID

    from commands.base import Known
    from commands.reach import Records

KEPT: Mapping[KindOfData, type[State[Any]]] = {
    "disqualified_lead": Lead,
    "archived_contact": Contact,
    "closed_customer": Customer,
    "closed_ticket": Ticket,
    "finished_activity": Activity,
    "former_user": User,
}
"""Whose personal data a kind is."""

IN_USE: Mapping[type[State[Any]], tuple[str, ...]] = {
    Lead: ("open", "qualified"),
    Contact: ("active",),
    Deal: ("open",),
    Ticket: ("new", "open", "pending", "on_hold", "solved"),
}
"""What is not forgotten along with something that ended."""


class SetRetentionRule(Command[RetentionRule], creates=True):
    """Keep personal data of a kind for a period after it ended, then forget it.

    With `unless_consented`, not as long as a contact who would be forgotten has given a consent
    that holds. What a legal hold needs is kept in any case.
    """

    kind: KindOfData
    keep_for: Period
    unless_consented: bool = False
    legal_basis: Line

    example = {
        "kind": "disqualified_lead",
        "keep_for": "P24M",
        "unless_consented": True,
        "legal_basis": "Art. 5 (1) (e) GDPR: no longer needed for the purpose",
    }

    def decide_in(self, world: World, state: RetentionRule, /) -> Iterator[RetentionRuleEvent]:
        home = retention_rule_id(self.kind)
        if world.id != home:
            raise RetentionRuleElsewhere(kind=self.kind, stream=home)
        wanted = RetentionRuleSet(**self.fields())
        if state.rule != wanted:
            yield wanted


class RepealRetentionRule(Command[RetentionRule]):
    """Keep personal data of a kind until somebody has it forgotten."""

    kind: KindOfData
    reason: Line

    example = {"kind": "disqualified_lead", "reason": "Under review by the data protection officer"}

    def decide(self, state: RetentionRule, /) -> Iterator[RetentionRuleEvent]:
        if not state.changes:
            raise RetentionRuleUnknown(kind=self.kind)
        if state.rule is not None:
            yield RetentionRuleRepealed(**self.fields())


def kept_long_enough(
    rule: RetentionRuleSet, changes: int
) -> Callable[[Known, State[Any]], Iterator[On]]:
    """The decision to forget a record by a rule, as long as it is the one after `changes`."""

    def spare(world: Known, records: Records) -> None:
        for id, of in records.items():
            _must_not_be_in_use(world, rule.kind, id, of)
            if of is Contact and rule.unless_consented:
                _must_not_have_consented(world.load(Contact, id), id)

    def decide(world: Known, _: State[Any]) -> Iterator[On]:
        if world.load(RetentionRule, retention_rule_id(rule.kind)).changes != changes:
            raise RetentionRuleChanged(kind=rule.kind)
        return forgotten(world, {world.id: KEPT[rule.kind]}, rule.legal_basis, spare)

    return decide


def _must_not_be_in_use(world: Known, kind: KindOfData, id: UUID, of: type[State[Any]]) -> None:
    # Contacts known only through a customer that was closed end with it.
    if of in IN_USE and (kind, of) != ("closed_customer", Contact):
        status = world.load(of, id).status  # type: ignore[attr-defined]
        if status in IN_USE[of]:
            raise SubjectInUse(kind=aggregate_of(of), id=id, status=status)


def _must_not_have_consented(contact: Contact, id: UUID) -> None:
    if any(isinstance(said, ContactConsentGranted) for said in contact.consents.values()):
        raise SubjectConsented(contact_id=id)
