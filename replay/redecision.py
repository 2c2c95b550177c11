"""Decisions taken once more, by other rules, on the state as it was before each.

What was decided otherwise did not happen: the event is left out, and what came of it is told beside
it. Wishes that were refused are in no log, so only what would be refused can be found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from commands.lead import QualifyLead
from commands.rules import QUALIFICATION
from domain.base import Refusal
from domain.lead import Lead, LeadEvent, LeadQualified

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from commands.rules import Qualification
    from readmodels.base import Database
    from replay.reread import Force, Row

REFUSED = "Whom milder rules would have let through: wishes that were refused are in no log."
BECAME = """
    SELECT lead_id::VARCHAR AS id, status, deal_status, amount, currency
    FROM lead_journey($as_of) WHERE list_contains($leads, lead_id::VARCHAR)"""


@dataclass(frozen=True, slots=True)
class Otherwise:
    """A decision that would have been another one, and what came of it as it was taken."""

    position: int
    type: str
    occurred_at: datetime
    actor: UUID
    record: str
    refusal: str
    """Why it would have been refused."""
    became: str | None = None
    """The status of the record now, as it is."""
    deal_status: str | None = None
    amount: Any = None
    currency: str | None = None


class Qualifications:
    """Judges every qualification of a lead once more."""

    def __init__(self, rule: Qualification, force: Force) -> None:
        self._rule, self._force = rule, force
        self._leads: dict[bytes, Lead] = {}
        self.otherwise: list[Otherwise] = []

    def lead(self, row: Row) -> Row | None:
        """The event, unless it would have been refused."""
        in_force, recorded = self._force.holds(row), row.opened()
        event: LeadEvent = recorded.event  # type: ignore[assignment]
        lead = self._leads.get(row.stream_id, Lead())
        if isinstance(event, LeadQualified) and in_force:
            refusal = judged(event, lead, self._rule)
            if refusal and not judged(event, lead, QUALIFICATION):
                said = Otherwise(
                    position=row.position,
                    type=event.type,
                    occurred_at=recorded.occurred_at,
                    actor=recorded.actor,
                    record=str(recorded.stream_id),
                    refusal=str(refusal),
                )
                self.otherwise.append(said)
                return None
        self._leads[row.stream_id] = lead.evolve(event)
        return row


def judged(event: LeadQualified, lead: Lead, rule: Qualification) -> Refusal | None:
    """Why the wish that led to an event would be refused by a rule, if it would."""
    # Its fields were checked when it was asked, and personal ones are hidden here.
    wish = QualifyLead.model_construct(**dict(event))
    try:
        list(wish.decide(lead, rule))
    except Refusal as refusal:
        return refusal
    return None


def told(found: Sequence[Otherwise], base: Database, moment: datetime) -> Iterator[Otherwise]:
    """Decisions with what came of them."""
    asked = {"as_of": moment, "leads": sorted({one.record for one in found})}
    rows = base.query(BECAME, asked).rows(named=True) if found else []
    became = {row.pop("id"): row for row in rows}
    for one in found:
        row = became.get(one.record)
        if row is not None:
            row = {"became": row["status"]} | {k: v for k, v in row.items() if k != "status"}
        yield replace(one, **row or {})
