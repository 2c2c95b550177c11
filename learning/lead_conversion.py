"""Will this lead become a customer?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from domain.custom_fields import CustomFieldsDeclared
from domain.lead import (
    EngagementKind,
    LeadAssigned,
    LeadCaptured,
    LeadConverted,
    LeadCustomFieldsSet,
    LeadDisqualified,
    LeadEngaged,
    LeadQualified,
    LeadRecycled,
    LeadRetracted,
)
from domain.values import title_level
from learning.base import Ask, Label, Learner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

    from domain.base import Event
    from domain.values import CustomValue
    from eventstore.envelope import RecordedEvent
    from learning.model import Feature

CUSTOM_FIELDS_MAX = 500
"""Custom fields the model is told of: the first declared. A score lists them all."""


KINDS: tuple[EngagementKind, ...] = get_args(EngagementKind)
ENGAGEMENTS = {kind: f"engagements.{kind}" for kind in KINDS}
NOT_QUALIFIED: dict[str, Feature] = dict.fromkeys(("budget", "authority", "need", "timeline"))


@dataclass(slots=True)
class LeadSeen:
    """What is known of a lead at the latest of its events."""

    captured_at: datetime
    now: datetime
    features: dict[str, Feature]
    custom: Mapping[str, CustomValue]
    engaged: dict[EngagementKind, int] = field(default_factory=dict)
    recycled: int = 0
    open: bool = True


class LeadConversion(Learner):
    """The chance that an open lead will be converted, not disqualified."""

    name = "lead_conversion"
    subject_type = "lead"
    version = 1
    follows = (
        CustomFieldsDeclared,
        LeadCaptured,
        LeadAssigned,
        LeadEngaged,
        LeadQualified,
        LeadDisqualified,
        LeadRecycled,
        LeadConverted,
        LeadCustomFieldsSet,
        LeadRetracted,
    )

    def __init__(self) -> None:
        self.leads: dict[UUID, LeadSeen] = {}
        self.custom_fields: list[str] = []

    def observe(self, recorded: RecordedEvent) -> Iterator[Ask | Label]:
        """Ask after each event of an open lead; its end is the answer."""
        event, lead_id = recorded.event, recorded.stream_id
        if isinstance(event, CustomFieldsDeclared):
            self._declare(event)
        elif isinstance(event, LeadCaptured):
            moment = recorded.occurred_at
            lead = LeadSeen(moment, moment, captured(event), event.custom)
            self.leads[lead_id] = lead
            yield Ask(lead_id, self._features(lead))
        elif lead_id in self.leads:
            lead = self.leads[lead_id]
            lead.now = max(lead.now, recorded.occurred_at)
            yield from self._evolve(lead_id, lead, event)

    def _evolve(self, lead_id: UUID, lead: LeadSeen, event: Event) -> Iterator[Ask | Label]:
        match event:
            case LeadConverted():
                yield Label(lead_id, outcome=True)
                del self.leads[lead_id]
                return
            case LeadRetracted():
                del self.leads[lead_id]
                return
            case LeadDisqualified():
                yield Label(lead_id, outcome=False)
                lead.open = False
            case LeadRecycled():
                lead.features |= NOT_QUALIFIED
                lead.recycled += 1
                lead.open = True
            case LeadAssigned():
                lead.features["assigned"] = event.owner is not None
            case LeadEngaged():
                lead.features["last_engagement"] = event.kind
                lead.engaged[event.kind] = lead.engaged.get(event.kind, 0) + 1
            case LeadQualified():
                lead.features |= {name: getattr(event, name) for name in NOT_QUALIFIED}
            case LeadCustomFieldsSet():
                lead.custom = event.custom
        if lead.open:
            yield Ask(lead_id, self._features(lead))

    def _declare(self, event: CustomFieldsDeclared) -> None:
        known = event.name in self.custom_fields or len(self.custom_fields) >= CUSTOM_FIELDS_MAX
        if event.aggregate == self.subject_type and not event.personal and not known:
            self.custom_fields.append(event.name)

    def _features(self, lead: LeadSeen) -> dict[str, Feature]:
        return {
            **lead.features,
            **{name: lead.engaged.get(kind, 0) for kind, name in ENGAGEMENTS.items()},
            **{f"custom.{name}": lead.custom.get(name) for name in self.custom_fields},
            "engagements": sum(lead.engaged.values()),
            "recycled": lead.recycled,
            "days_since_capture": (lead.now - lead.captured_at).days,
        }


def captured(event: LeadCaptured) -> dict[str, Feature]:
    """What a model may know of a lead when it comes in."""
    return {
        **NOT_QUALIFIED,
        "assigned": False,
        "country": event.country,
        "email_kind": event.email_kind,
        "from_campaign": event.campaign_id is not None,
        "has_company": event.company is not None,
        "has_phone": event.has_phone,
        "last_engagement": None,
        "source": event.source,
        "title_level": title_level(event.title) if event.title else None,
    }
