"""What the system does by itself because of an event.

A policy follows the log. How far it has come stands in PostgreSQL, and the ids of what it does
follow from the events it does it for: done twice, it is done once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast
from uuid import UUID, uuid5

import structlog
from psycopg.sql import SQL

from commands.onlooker import Onlooker
from commands.reach import reach
from commands.retention_rule import KEPT, kept_long_enough
from domain.activity import ActivityCancelled, ActivityCompleted, ActivityLogged
from domain.base import Event, Refusal
from domain.clock import CLOCK, ClockTicked
from domain.contact import ContactArchived
from domain.customer import CustomerClosed, CustomerReactivated
from domain.lead import LeadDisqualified, LeadRecycled
from domain.retention_rule import KindOfData, RetentionRuleSet, retention_rule_id
from domain.subject import subject_stream
from domain.ticket import TicketClosed
from domain.user import SYSTEM, UserDeactivated, UserReactivated
from eventstore.ended import Ended, ended
from eventstore.errors import StaleVersion
from eventstore.intent import Context, Looks
from eventstore.naming import named_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventstore.envelope import RecordedEvent
    from eventstore.intent import Writes
    from eventstore.log import Log

AT_ONCE = 500
"""So many records are looked up together, in a few passes over the log."""

ANSWER_SECONDS = 60.0
BOOKMARK = "policies.retention"

Events = tuple[type[Event], ...]

ENDINGS: Mapping[KindOfData, tuple[Events, Events]] = {
    "disqualified_lead": ((LeadDisqualified,), (LeadRecycled,)),
    "archived_contact": ((ContactArchived,), ()),
    "closed_customer": ((CustomerClosed,), (CustomerReactivated,)),
    "closed_ticket": ((TicketClosed,), ()),
    "finished_activity": ((ActivityLogged, ActivityCompleted, ActivityCancelled), ()),
    "former_user": ((UserDeactivated,), (UserReactivated,)),
}
"""What ends a record of a kind, from when on its period counts, and what takes that back."""

logger = structlog.get_logger()


class Rule(NamedTuple):
    """A rule in force, and the event that set it."""

    event_id: UUID
    set: RetentionRuleSet
    changes: int
    position: int


def rules_in_force(log: Log) -> Iterator[Rule]:
    """The rules of retention as they are now."""
    for kind in KEPT:
        for newest in log.read_stream(retention_rule_id(kind))[-1:]:
            if isinstance(newest.event, RetentionRuleSet):
                yield Rule(newest.event_id, newest.event, newest.version, newest.position)


def newest_tick(log: Log) -> RecordedEvent | None:
    """The moment that the clock reached last."""
    where = SQL("originator_id = %s ORDER BY originator_version DESC LIMIT 1")
    with log.cursor() as cursor:
        rows = log.envelopes.select_envelopes(cursor, where, (CLOCK,))
        return next(iter(log.open_rows(cursor, rows)), None)


def kept_until(log: Log, rule: Rule, tick: ClockTicked, until: int) -> list[Ended]:
    """What a rule has kept long enough when the clock strikes, as the log was at a position."""
    ends, undone_by = ENDINGS[rule.set.kind]
    return ended(
        log,
        ends,
        undone_by,
        keep_for=rule.set.keep_for,
        moment=tick.moment,
        until=until,
    )


def look_ahead(log: Log, rule: Rule, records: Sequence[Ended]) -> None:
    """Find what goes with many records in a few passes over the log, not in some for each."""
    own = frozenset(one.id for one in records)
    streams = [recorded for id in own for recorded in log.read_stream(id)]
    log.names.look(own.union(*(named_by(recorded.event).values() for recorded in streams)))
    below, new = own, own
    while new:
        new = frozenset(naming.stream_id for naming in log.names.look(new)) - below
        below |= new
    of = KEPT[rule.set.kind]
    above = (reach(Onlooker(log, id, SYSTEM), {id: of})[1] for id in own)
    log.names.look(below.union(*above))


class Retention:
    """Forgets what was kept long enough, each time the clock has struck.

    What a hold, a consent or a use keeps is tried again at the next stroke.
    """

    def __init__(self, log: Log, writer: Writes) -> None:
        self.log = log
        self.writer = writer

    def turn(self) -> int:
        """Heed the newest stroke of the clock; how many subjects were forgotten at it."""
        tick = newest_tick(self.log)
        bookmark = self.log.bookmarks.max_tracking_id(BOOKMARK) or 0
        if tick is None or tick.position <= bookmark:
            return 0
        count = sum(
            self._forget(rule, tick)
            for rule in rules_in_force(self.log)
            if rule.position < tick.position
        )
        with self.log.transaction() as turn:
            if (self.log.bookmarks.max_tracking_id(BOOKMARK) or 0) < tick.position:
                turn.track(BOOKMARK, tick.position)
        return count

    def _forget(self, rule: Rule, tick: RecordedEvent) -> int:
        struck = cast("ClockTicked", tick.event)
        due = kept_until(self.log, rule, struck, tick.position)
        count = 0
        for start in range(0, len(due), AT_ONCE):
            records = due[start : start + AT_ONCE]
            look_ahead(self.log, rule, records)
            count += sum(self._decided(rule, tick, records))
        if due:
            logger.info(
                "kept long enough",
                kind=rule.set.kind,
                moment=struck.moment,
                forgotten=count,
                spared=len(due) - count,
            )
        return count

    def _decided(self, rule: Rule, tick: RecordedEvent, records: Sequence[Ended]) -> Iterator[bool]:
        """Whether each was forgotten; what is not is tried again at the next stroke."""
        decide = kept_long_enough(rule.set, rule.changes)
        asked = []
        for one in records:
            context = Context(
                actor=SYSTEM,
                correlation_id=tick.correlation_id,
                causation_id=rule.event_id,
                command_id=uuid5(rule.event_id, str(one.id)),
                once=True,
                expected_version=self._unchanged(rule, one),
            )
            looks = Looks((retention_rule_id(rule.set.kind), subject_stream(one.id)))
            asked.append(self.writer.submit(one.id, KEPT[rule.set.kind], decide, context, looks))
        for answer in asked:
            try:
                yield answer.result(ANSWER_SECONDS).events > 0
            except (Refusal, StaleVersion):
                yield False

    def _unchanged(self, rule: Rule, record: Ended) -> int:
        """The version that a record has, if it still is ended as it was found; else none it has."""
        ends, undone_by = ENDINGS[rule.set.kind]
        since = self.log.read_stream(record.id, record.version)
        changed = any(isinstance(recorded.event, (*ends, *undone_by)) for recorded in since)
        return 0 if changed else record.version + len(since)
