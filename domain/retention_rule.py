"""A rule of retention: how long personal data of a kind is kept, and on what legal ground.

There is one rule for each kind of data, in a stream of its own: who set it, when, and what it was
before stands in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, assert_never
from uuid import UUID, uuid5

from pydantic import StringConstraints

from domain.base import Event, Refusal, State, replace
from domain.values import Line

RETENTION_RULES = UUID("5b1d2c70-93ae-5f14-8c62-71e0a4d8f35b")
"""Namespace of the streams: the rule for a kind of data lives in `retention_rule_id(kind)`."""

KindOfData = Literal[
    "disqualified_lead",
    "archived_contact",
    "closed_customer",
    "closed_ticket",
    "finished_activity",
    "former_user",
]
"""What is kept for a while, counted from the event that ended it."""

Period = Annotated[
    str, StringConstraints(pattern=r"^P([1-9][0-9]{0,4}D|[1-9][0-9]{0,3}M|[1-9][0-9]?Y)$")
]
"""An ISO 8601 duration of days, months or years: P90D, P24M, P10Y.

Months are those of the calendar in UTC: a month after the 31st of January is the last of February.
"""


def retention_rule_id(kind: str) -> UUID:
    """The stream that holds the rule for a kind of data."""
    return uuid5(RETENTION_RULES, kind)


class RetentionRuleSet(Event, type="retention_rule.set.v1"):
    """Personal data of a kind is kept for a period and then forgotten."""

    kind: KindOfData
    keep_for: Period
    unless_consented: bool
    legal_basis: Line


class RetentionRuleRepealed(Event, type="retention_rule.repealed.v1"):
    """Personal data of a kind is kept until somebody has it forgotten."""

    kind: KindOfData
    reason: Line


RetentionRuleEvent = RetentionRuleSet | RetentionRuleRepealed


class RetentionRuleUnknown(Refusal):
    """There is no rule for {kind}."""


class RetentionRuleElsewhere(Refusal):
    """The rule for {kind} is set on {stream}, nowhere else."""


class RetentionRuleChanged(Refusal):
    """The rule for {kind} is no longer the one that would have it forgotten."""


class SubjectConsented(Refusal):
    """The contact {contact_id} has given a consent that holds, and the rule spares who has."""


class SubjectInUse(Refusal):
    """The {kind} {id}, which would be forgotten too, is {status}: it is still needed."""


@dataclass(frozen=True, slots=True)
class RetentionRule(State[RetentionRuleEvent]):
    """The rule in force for one kind of data."""

    status: Literal["unknown", "in_force", "repealed"] = "unknown"
    rule: RetentionRuleSet | None = None
    changes: int = 0
    """How often it was set or repealed: that it is the same number says it is the same rule."""

    def evolve(self, event: RetentionRuleEvent, /) -> RetentionRule:
        match event:
            case RetentionRuleSet():
                return replace(self, status="in_force", rule=event, changes=self.changes + 1)
            case RetentionRuleRepealed():
                return replace(self, status="repealed", rule=None, changes=self.changes + 1)
            case _:
                assert_never(event)
