"""What is kept for a while is forgotten when its period is over: never sooner, never twice, and
never against a hold."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from cli import main
from cli.background import Policies
from commands.base import Command, On, handle
from commands.clock import TickClock
from commands.contact import ArchiveContact, CreateContact, GrantConsent
from commands.customer import CloseCustomer, CreateCustomer
from commands.lead import CaptureLead, DisqualifyLead
from commands.policies import BOOKMARK, Retention
from commands.retention_rule import RepealRetentionRule, SetRetentionRule, kept_long_enough
from commands.subject import PlaceLeadLegalHold
from commands.ticket import OpenTicket
from domain.base import Event, Refusal
from domain.clock import CLOCK
from domain.contact import ContactArchived, ContactConsentGranted
from domain.lead import Lead, LeadDisqualified, LeadRecycled
from domain.retention_rule import (
    RetentionRuleChanged,
    RetentionRuleElsewhere,
    RetentionRuleRepealed,
    RetentionRuleSet,
    RetentionRuleUnknown,
    SubjectConsented,
    SubjectInUse,
    retention_rule_id,
)
from domain.subject import SubjectForgotten, SubjectHeld, SubjectIsHeld, subject_stream
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.intent import Context
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from replay.retention import due
from tests.doors import Client, a_node
from tests.examples import CAPTURED, CONTACT, MET
from tests.given import HERE, History, but, given

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log

LAW = "No longer needed"
OFFICER = UUID(int=0x0FF1CE)
BASE = datetime.now(UTC).replace(microsecond=0)
LEAD = "disqualified_lead"
GAVE_UP = LeadDisqualified(reason="no_need", note="")
CONSENTED = ContactConsentGranted(channel="email", purpose="any", source="Form", proof=None)
WAS_A_LEAD = but(MET, person_id=HERE, lead_id=HERE)
LEADS = History({}, id=retention_rule_id("disqualified_lead"))


def rule(kind: str, keep_for: str, *, unless_consented: bool = False) -> SetRetentionRule:
    return SetRetentionRule(
        kind=kind, keep_for=keep_for, unless_consented=unless_consented, legal_basis=LAW
    )


def test_a_rule_is_set_changed_and_repealed():
    first, second = rule("disqualified_lead", "P24M"), rule("disqualified_lead", "P90D")
    set_ = LEADS.when(first).then(RetentionRuleSet(**first.fields()))
    set_.when(first).nothing()
    changed = set_.when(second).then(RetentionRuleSet(**second.fields()))
    repeal = RepealRetentionRule(kind="disqualified_lead", reason="Under review")
    repealed = changed.when(repeal).then(RetentionRuleRepealed(**repeal.fields()))
    repealed.when(repeal).nothing()
    repealed.when(second).then(RetentionRuleSet(**second.fields()))


def test_the_rule_for_a_kind_of_data_stands_in_one_place():
    LEADS.when(rule("closed_ticket", "P1Y")).refused(RetentionRuleElsewhere, kind="closed_ticket")


def test_a_rule_that_was_never_set_is_not_repealed():
    repeal = RepealRetentionRule(kind=LEAD, reason="Under review")
    LEADS.when(repeal).refused(RetentionRuleUnknown, kind=LEAD)


@pytest.mark.parametrize("period", ["24 months", "P0D", "P1W", "PT1H", "P-1D", "P1Y6M", "P100Y"])
def test_a_period_is_a_number_of_days_months_or_years(period: str):
    with pytest.raises(ValueError, match="pattern"):
        rule("closed_ticket", period)


@pytest.mark.parametrize(
    ("why", "stream", "said"),
    [
        (RetentionRuleChanged, LEADS.id, [RetentionRuleRepealed(kind=LEAD, reason="Review")]),
        (SubjectInUse, HERE, [LeadRecycled(reason="New budget", conflicts=())]),
        (SubjectInUse, CONTACT, [WAS_A_LEAD]),
        (SubjectConsented, CONTACT, [WAS_A_LEAD, CONSENTED, ContactArchived(reason="Left")]),
        (SubjectIsHeld, subject_stream(HERE), [SubjectHeld(record_id=HERE, matter="Case 7")]),
    ],
)
def test_what_speaks_for_keeping_is_heeded_to_the_last(
    why: type[Refusal], stream: UUID, said: list[Event]
):
    set_ = RetentionRuleSet(**rule(LEAD, "P24M", unless_consented=True).fields())
    history = (
        given(CAPTURED, GAVE_UP).and_on(LEADS.id, set_).after(On(stream, event) for event in said)
    )
    with pytest.raises(why):
        list(kept_long_enough(set_, 1)(history, history.load(Lead, HERE)))


class Office:
    """A workspace with somebody who does things, at a moment of the past or now."""

    def __init__(self, workspace: Workspace, writer: Writer) -> None:
        self.log: Log = workspace.log
        self.writer = writer
        self.policy = Retention(self.log, writer)
        self._numbers = count(1)

    def do(self, command: Command[Any], id: UUID | None = None, ago: float = 0.0) -> UUID:
        id = id or uuid7()
        context = Context(OFFICER, uuid7(), occurred_at=BASE - timedelta(days=ago))
        handle(self.writer, command, id, context).result(30)
        return id

    def rule(self, command: SetRetentionRule | RepealRetentionRule) -> UUID:
        return self.do(command, retention_rule_id(command.kind))

    def strike(self, days: float = 0.0) -> None:
        self.do(TickClock(moment=BASE + timedelta(days=days)), CLOCK)

    def lead(self) -> UUID:
        number = next(self._numbers)
        lead = CaptureLead(name="Ann Gone", email=f"ann{number}@example.com", source="fair")
        return self.do(lead, ago=3000)

    def disqualified(self, ago: float) -> UUID:
        lead = self.lead()
        return self.do(DisqualifyLead(reason="no_need"), lead, ago)

    def contact(self, **more: Any) -> UUID:
        return self.do(CreateContact(name="Ann Gone", **more), ago=3000)

    def forgotten(self) -> dict[UUID, RecordedEvent]:
        """By the record it was decided of."""
        events = self.log.read(types=[SubjectForgotten.type])
        return {recorded.event.record_id: recorded for recorded in events}  # type: ignore[attr-defined]

    def lose_bookmark(self) -> None:
        """As after a crash between what was done and saying so."""
        with self.log.cursor() as cursor:
            cursor.execute("DELETE FROM log_tracking WHERE application_name = %s", (BOOKMARK,))


@contextmanager
def an_office(directory: Path, url: str, name: str = "default") -> Iterator[Office]:
    with Workspace.open(directory, url, name) as workspace, Writer(workspace.log) as writer:
        yield Office(workspace, writer)


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    with an_office(tmp_path, database_url) as opened:
        yield opened


def test_a_lead_is_forgotten_when_its_period_is_over_because_of_the_rule(office: Office):
    old, young, live = office.disqualified(ago=740), office.disqualified(ago=700), office.lead()
    office.rule(rule("disqualified_lead", "P24M"))
    assert office.policy.turn() == 0, "the clock has not struck"
    office.strike()
    assert office.policy.turn() == 1
    assert office.policy.turn() == 0
    [(id, recorded)] = office.forgotten().items()
    [set_] = office.log.read_stream(retention_rule_id("disqualified_lead"))
    assert (id, recorded.causation_id) == (old, set_.event_id)
    assert (recorded.actor, recorded.event.reason) == (SYSTEM, LAW)  # type: ignore[attr-defined]
    office.strike(days=60)
    assert office.policy.turn() == 1
    assert office.forgotten().keys() == {old, young}
    assert live not in office.forgotten()


def test_a_rule_counts_from_the_stroke_after_it_was_set(office: Office):
    office.disqualified(ago=740)
    office.strike()
    office.rule(rule("disqualified_lead", "P24M"))
    assert office.policy.turn() == 0
    office.strike(days=1 / 24)
    assert office.policy.turn() == 1


def test_months_are_those_of_the_calendar(office: Office):
    lead = office.lead()
    january = datetime(2026, 1, 31, 12, tzinfo=UTC)
    office.do(DisqualifyLead(reason="no_need"), lead, (BASE - january) / timedelta(days=1))
    office.rule(rule("disqualified_lead", "P1M"))
    last_of_february = datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert due(office.log, last_of_february - timedelta(microseconds=1)).forgotten == ()
    [going] = due(office.log, last_of_february).forgotten
    assert (going.id, going.ended_at, going.due_at) == (lead, january, last_of_february)


def test_who_is_still_a_contact_is_not_forgotten_with_the_lead_that_came_to_nothing(
    office: Office,
):
    lead = office.disqualified(ago=800)
    contact = office.contact(lead_id=lead)
    office.rule(rule("disqualified_lead", "P24M"))
    office.strike()
    assert office.policy.turn() == 0
    [kept] = due(office.log).kept
    assert (kept.id, "is active" in kept.because) == (lead, True)
    office.do(ArchiveContact(reason="Left"), contact)
    office.strike(days=1)
    assert office.policy.turn() == 1


def test_with_a_closed_customer_its_contacts_go_but_not_with_an_open_ticket(office: Office):
    quiet, asking = (office.do(CreateCustomer(name=name), ago=3000) for name in ("Quiet", "Asking"))
    contacts = [office.contact(customer_id=customer) for customer in (quiet, asking)]
    office.do(OpenTicket(title="Help", channel="email", contact_id=contacts[1]), ago=3000)
    for customer in (quiet, asking):
        office.do(CloseCustomer(reason="other"), customer, ago=800)
    office.rule(rule("closed_customer", "P2Y"))
    office.strike()
    assert office.policy.turn() == 1
    [recorded] = office.forgotten().values()
    assert set(recorded.event.record_ids) == {quiet, contacts[0]}  # type: ignore[attr-defined]


def test_many_are_forgotten_at_one_stroke_with_few_passes_over_the_log(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    leads = {office.disqualified(ago=800) for _ in range(30)}
    office.rule(rule("disqualified_lead", "P24M"))
    office.strike()
    whole = []
    page = office.log.names._page

    def counted(cursor: Any, after: int, ids: Any) -> Any:
        whole.append(after)
        return page(cursor, after, ids)

    monkeypatch.setattr(office.log.names, "_page", counted)
    assert office.policy.turn() == len(leads)
    assert sum(after == 0 for after in whole) < 10
    assert office.forgotten().keys() == leads


def test_what_would_be_forgotten_is_told_by_door_and_verb_and_then_done(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with a_node(postgres_url, tmp_path) as node, Client(node, OFFICER) as officer:
        office = Office(node.workspace, node.writer)
        gone, held = office.disqualified(ago=800), office.disqualified(ago=790)
        contact = office.contact()
        office.do(GrantConsent(channel="email", source="Form"), contact, ago=2000)
        office.do(ArchiveContact(reason="Left"), contact, ago=1000)
        office.do(PlaceLeadLegalHold(matter="Case 7"), held)
        for kind in ("disqualified_lead", "archived_contact"):
            asked = rule(kind, "P24M", unless_consented=True).model_dump(mode="json")
            assert officer.post("/retention-rules/set", asked).status_code == 200
        rules = officer.get(
            "/retention-rules", params={"min_position": office.log.last_position()}
        ).json()["items"]
        assert {(one["kind"], one["keep_for"], one["decided_by"]) for one in rules} == {
            ("disqualified_lead", "P24M", str(OFFICER)),
            ("archived_contact", "P24M", str(OFFICER)),
        }
        assert officer.get("/audit/due").status_code == 422, "the clock has not struck"
        day = f"{BASE:%Y-%m-%d}"
        told = officer.get("/audit/due", params={"on": day}).json()
        assert [one["id"] for one in told["forgotten"]] == [str(gone)]
        why = {one["id"]: one["because"] for one in told["kept"]}
        assert "has to be kept for Case 7" in why[str(held)]
        assert "has given a consent" in why[str(contact)]
        url = node.workspace.database_url
        place = ("--data", str(tmp_path), "--database-url", url)
        capsys.readouterr()
        assert main(["due", "--on", day, "--json", *place]) == 0
        assert json.loads(capsys.readouterr().out)["forgotten"] == told["forgotten"]
        with Policies(node):
            office.strike()
            until = time.monotonic() + 30
            while not office.forgotten() and time.monotonic() < until:
                time.sleep(0.05)
        assert office.forgotten().keys() == {gone}
        caused = officer.get("/audit/caused", params={"cause": told["rules"][0]["event_id"]})
        assert caused.json()["by_type"][SubjectForgotten.type] == 1
