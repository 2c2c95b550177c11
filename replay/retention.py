"""Due: what would be forgotten at a moment, by which rule, and what is kept in spite of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from commands.onlooker import Onlooker
from commands.policies import kept_until, look_ahead, newest_tick, rules_in_force
from commands.retention_rule import KEPT, kept_long_enough
from domain.base import Refusal
from domain.clock import ClockTicked
from domain.retention_rule import KindOfData
from domain.user import SYSTEM
from replay.base import ReplayError

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from commands.policies import Rule
    from domain.subject import SubjectForgotten
    from eventstore.ended import Ended
    from eventstore.log import Log


@dataclass(frozen=True, slots=True)
class InForce:
    """A rule as it was set, by which event."""

    kind: KindOfData
    keep_for: str
    unless_consented: bool
    legal_basis: str
    event_id: UUID
    records: int
    """How many records it has kept long enough by then."""


@dataclass(frozen=True, slots=True)
class Going:
    """What would be forgotten, and with how many other records."""

    kind: KindOfData
    id: UUID
    ended_at: datetime
    due_at: datetime
    with_it: int


@dataclass(frozen=True, slots=True)
class Staying:
    """What is kept although its period is over, and why."""

    kind: KindOfData
    id: UUID
    due_at: datetime
    because: str


@dataclass(frozen=True, slots=True)
class Due:
    """What rules of retention would do at a moment, as things stand now."""

    moment: datetime
    rules: tuple[InForce, ...]
    forgotten: tuple[Going, ...]
    """The oldest first, rule by rule; no more than were asked for."""
    kept: tuple[Staying, ...]


def due(log: Log, moment: datetime | None = None, limit: int = 100) -> Due:
    """What would be forgotten when the clock strikes a moment; by default, what is due now."""
    if moment is None:
        tick = newest_tick(log)
        if tick is None:
            raise ReplayError("the clock has not struck yet: say at which moment, as in 2027-01-31")
        moment = cast("ClockTicked", tick.event).moment
    last = log.last_position()
    rules: list[InForce] = []
    going: list[Going] = []
    staying: list[Staying] = []
    gone: set[UUID] = set()
    for rule in rules_in_force(log):
        found = kept_until(log, rule, ClockTicked(moment=moment), last)
        rules.append(InForce(**dict(rule.set), event_id=rule.event_id, records=len(found)))
        found = found[: limit - len(going) - len(staying)]
        look_ahead(log, rule, found)
        for one in (one for one in found if one.id not in gone):
            said = _decided(log, rule, one)
            if isinstance(said, Refusal):
                staying.append(Staying(rule.set.kind, one.id, one.due_at, str(said)))
            else:
                gone.update(said.record_ids)
                others = len(said.record_ids) - 1
                going.append(Going(rule.set.kind, one.id, one.ended_at, one.due_at, others))
    return Due(moment, tuple(rules), tuple(going), tuple(staying))


def _decided(log: Log, rule: Rule, record: Ended) -> SubjectForgotten | Refusal:
    """What would be decided of a record, or why not."""
    of: Any = KEPT[rule.set.kind]
    world = Onlooker(log, record.id, SYSTEM)
    try:
        [on] = kept_long_enough(rule.set, rule.changes)(world, world.load(of, record.id))
    except Refusal as refusal:
        return refusal
    return cast("SubjectForgotten", on.event)
