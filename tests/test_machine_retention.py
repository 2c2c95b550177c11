"""Rules of retention, held against a few lines that say what they mean.

Whatever happens in whatever order (late holds, rules that change, a clock that jumps, a crash, two
processes at once): at each stroke exactly that is forgotten which its rule has kept long enough.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples

from commands.contact import ArchiveContact, GrantConsent
from commands.lead import DisqualifyLead, RecycleLead
from commands.policies import Retention
from commands.retention_rule import RepealRetentionRule
from commands.subject import (
    ForgetLead,
    PlaceContactLegalHold,
    PlaceLeadLegalHold,
    ReleaseContactLegalHold,
    ReleaseLeadLegalHold,
)
from tests.databases import empty_database
from tests.test_retention_rule import BASE, Office, an_office, rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

KINDS = ("disqualified_lead", "archived_contact")
PERIODS = ("P30D", "P1M", "P12M", "P1Y", "P400D")
ENDED_DAYS_AGO = (900, 380, 100, 0)
MEANWHILE = ("held", "another rule", "no rule", "back", "back and gone", "nothing", "crash")
STEPS = ("comes", "ends", "back", "held", "released", "asks", "another rule", "no rule", "crash")
STRIKES = tuple(f"strikes: {meanwhile}" for meanwhile in MEANWHILE)
JUMPS = (1, 30, 400)
CASE = "Case 2026-17"
NAMES = count()


@dataclass
class Told:
    """What was told of a person."""

    kind: str
    latest_days_ago: float = 3000
    ended: bool = False
    changed_at: int = 0
    held: bool = False
    consented: bool = False
    forgotten: bool = False


@dataclass
class InForce:
    """What was told of a rule."""

    period: str
    unless_consented: bool
    set_at: int


def after(moment: datetime, period: str) -> datetime:
    """A moment so many days, months or years later."""
    number, unit = int(period[1:-1]), period[-1]
    if unit == "D":
        return moment + timedelta(days=number)
    months = moment.year * 12 + moment.month - 1 + number * (12 if unit == "Y" else 1)
    year, month = divmod(months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


class Retaining:
    """What is told to the log is told to the model; at each turn of the policy they agree."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.people: dict[UUID, Told] = {}
        self.in_force: dict[str, InForce] = {}
        self.now, self.days, self.struck_at, self.heeded_at = 0, 0, 0, 0

    def step(self, what: str, pick: int) -> None:
        """Something happens to somebody."""
        self.now += 1
        if what == "comes":
            self.comes(pick)
        elif what in STRIKES:
            self.strikes(what, pick)
        elif people := [id for id, told in self.people.items() if not told.forgotten]:
            self.happens(what, people[pick % len(people)], pick)

    def comes(self, pick: int) -> None:
        lead = pick % 2 == 0
        id = self.office.lead() if lead else self.office.contact()
        self.people[id] = Told(KINDS[0] if lead else KINDS[1])
        if pick % 3 == 1 and not lead:
            self.office.do(GrantConsent(channel="email", source="Form"), id, ago=3000)
            self.people[id].consented = True
        self.ends(id, ENDED_DAYS_AGO[pick % 4])

    def happens(self, what: str, id: UUID, pick: int) -> None:
        told = self.people[id]
        lead = told.kind == KINDS[0]
        if what == "ends" and not told.ended:
            self.ends(id, ENDED_DAYS_AGO[pick % 4])
        elif what in {"back", "back and gone"} and lead and told.ended:
            self.office.do(RecycleLead(reason=f"Number {self.now}"), id)
            self.changed(id, ended=False)
            if what == "back and gone":
                self.ends(id, 0)
        elif what in {"held", "released"} and told.held == (what == "released"):
            self.hold(id, held=what == "held")
        elif what == "asks" and lead and not told.held:
            self.office.do(ForgetLead(reason="Asked"), id)
            told.forgotten = True
        elif what == "another rule":
            self.rules(told.kind, PERIODS[pick % 5], unless_consented=pick % 2 == 0)
        elif what == "no rule" and told.kind in self.in_force:
            self.office.rule(RepealRetentionRule(kind=told.kind, reason="Under review"))
            del self.in_force[told.kind]
        elif what == "crash":
            self.office.lose_bookmark()
            self.heeded_at = 0

    def ends(self, id: UUID, days_ago: int) -> None:
        lead = self.people[id].kind == KINDS[0]
        gave_up = DisqualifyLead(reason="no_need", note=f"Number {self.now}")
        self.office.do(gave_up if lead else ArchiveContact(reason="Left"), id, days_ago)
        self.changed(id, ended=True, days_ago=days_ago)

    def changed(self, id: UUID, *, ended: bool, days_ago: float = 0) -> None:
        told = self.people[id]
        told.latest_days_ago = min(told.latest_days_ago, days_ago)
        told.ended, told.changed_at = ended, self.now

    def hold(self, id: UUID, *, held: bool) -> None:
        lead = self.people[id].kind == KINDS[0]
        place = PlaceLeadLegalHold if lead else PlaceContactLegalHold
        release = ReleaseLeadLegalHold if lead else ReleaseContactLegalHold
        self.office.do((place if held else release)(matter=CASE), id)
        self.people[id].held = held

    def rules(self, kind: str, period: str, *, unless_consented: bool) -> None:
        known = self.in_force.get(kind)
        self.office.rule(rule(kind, period, unless_consented=unless_consented))
        if known is None or (known.period, known.unless_consented) != (period, unless_consented):
            self.in_force[kind] = InForce(period, unless_consented, self.now)

    def strikes(self, meanwhile: str, pick: int) -> None:
        """What happens to who is due, between the stroke and the policy's turn, is heeded."""
        self.days, self.struck_at = self.days + JUMPS[pick % 3], self.now
        self.office.strike(self.days)
        due = [id for id in self.people if self.is_due(id)]
        if due:
            self.now += 1
            self.happens(meanwhile.removeprefix("strikes: "), due[pick % len(due)], pick)
        expected = {id for id in self.people if self.is_due(id)}
        assert self.office.policy.turn() == len(expected)
        self.office.lose_bookmark()
        assert Retention(self.office.log, self.office.writer).turn() == 0, "twice is once"
        self.heeded_at = self.struck_at
        for id in expected:
            self.people[id].forgotten = True
        gone = {id for id, told in self.people.items() if told.forgotten}
        assert self.office.forgotten().keys() == gone

    def is_due(self, id: UUID) -> bool:
        told = self.people[id]
        law = self.in_force.get(told.kind)
        if law is None or self.struck_at <= self.heeded_at or told.forgotten:
            return False
        kept_until = after(BASE - timedelta(days=told.latest_days_ago), law.period)
        return (
            told.ended
            and told.changed_at < self.struck_at
            and law.set_at < self.struck_at
            and kept_until <= BASE + timedelta(days=self.days)
            and not told.held
            and not (law.unless_consented and told.consented)
        )


@pytest.fixture(scope="module")
def database_url_of_many(postgres_url: str) -> Iterator[str]:
    """Each example has a workspace of its own in one database."""
    with empty_database(postgres_url) as url:
        yield url


@given(lists(tuples(sampled_from((*STEPS, *STRIKES)), integers(0, 59)), min_size=5, max_size=12))
@settings(max_examples=25)
def test_exactly_what_was_kept_long_enough_is_forgotten(
    database_url_of_many: str, steps: list[tuple[str, int]]
):
    with (
        TemporaryDirectory() as folder,
        an_office(Path(folder), database_url_of_many, f"w{next(NAMES)}") as office,
    ):
        retaining = Retaining(office)
        for number, kind in enumerate(KINDS):
            retaining.rules(kind, PERIODS[number], unless_consented=True)
            retaining.comes(number)
        for what, pick in steps:
            retaining.step(what, pick)
